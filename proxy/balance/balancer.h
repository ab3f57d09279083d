#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "proxy/balance/request_key.h"
#include "proxy/balance/view.h"

// Chooses the backend of a request. One balancer per pool and worker, on that worker's thread only;
// its state (whose turn it is) is not shared. tests/conformance/balancer_suite.h says what every
// one of them must do.
namespace regrow {

// The places an exchange has tried already, by BackendView::slot. More than fits is forgotten,
// oldest first.
class Tried {
  public:
    void add(uint32_t slot) {
        slots_[count_ % slots_.size()] = slot;
        ++count_;
    }
    void add(const Tried& others) {
        for (size_t i = 0; i < others.used(); ++i) add(others.slots_[i]);
    }
    bool contains(uint32_t slot) const {
        for (size_t i = 0; i < used(); ++i)
            if (slots_[i] == slot) return true;
        return false;
    }
    bool empty() const { return count_ == 0; }
    void clear() { count_ = 0; }

  private:
    size_t used() const { return count_ < slots_.size() ? count_ : slots_.size(); }
    std::array<uint32_t, 16> slots_{};
    uint32_t count_ = 0;
};

class Balancer {
  public:
    virtual ~Balancer() = default;
    // The worker took a new view. Only backends of this priority are its business. `pool` must stay
    // until the next update (the worker holds its view). May allocate.
    virtual void update(const PoolView& pool, int priority, Instant now) = 0;
    // A backend of that pool which accepts, is below max_connections and was not tried; nullptr:
    // there is none. Never allocates. The caller counts stats->in_flight up before it picks again.
    virtual const BackendView* pick(Instant now, const Tried& tried, const RequestKey& key) = 0;
    // After pick() said nullptr: whether that is because all that accept were tried, or none does;
    // else some are full.
    virtual bool exhausted(const Tried& tried) const = 0;
    // A place answered after this long. For those who go by it.
    virtual void answered(uint32_t /*slot*/, Duration /*latency*/, Instant /*now*/) {}
};

// `rotation`: where to begin, so that workers do not all start with the same backend; the worker's
// number does.
std::unique_ptr<Balancer> makeBalancer(conf::Balance kind, uint32_t rotation);

// Whether new requests may go to it, as far as its pool and priority are concerned.
inline bool usable(const BackendView& b, int priority) {
    return b.accepting && b.weight > 0 && b.priority == priority;
}
// Requests on it now, over all workers. Each worker's part may be a moment old.
uint64_t inFlight(const BackendView& backend);
// max_connections counts requests under way: with HTTP/1 each needs a connection of its own, and an
// idle one is reused first. Workers that pick in the same instant can exceed it by one each.
bool hasRoom(const BackendView& backend);

}  // namespace regrow
