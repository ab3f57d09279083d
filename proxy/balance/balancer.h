#pragma once

#include <array>
#include <cstdint>
#include <memory>

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
    bool contains(uint32_t slot) const {
        const size_t used = count_ < slots_.size() ? count_ : slots_.size();
        for (size_t i = 0; i < used; ++i)
            if (slots_[i] == slot) return true;
        return false;
    }
    bool empty() const { return count_ == 0; }
    void clear() { count_ = 0; }

  private:
    std::array<uint32_t, 8> slots_{};
    uint32_t count_ = 0;
};

class Balancer {
  public:
    virtual ~Balancer() = default;
    // The worker took a new view. `pool` must stay until the next update (the worker holds its
    // view). May allocate.
    virtual void update(const PoolView& pool, Instant now) = 0;
    // A backend of that pool which accepts, is below max_connections and was not tried; nullptr:
    // there is none. Never allocates. The caller counts stats->in_flight up before it picks again.
    virtual const BackendView* pick(Instant now, const Tried& tried) = 0;
};

// `rotation`: where to begin, so that workers do not all start with the same backend; the worker's
// number does.
std::unique_ptr<Balancer> makeBalancer(conf::Balance kind, uint32_t rotation);

// Requests on it now, over all workers. Each worker's part may be a moment old.
uint64_t inFlight(const BackendView& backend);
// max_connections counts requests under way: with HTTP/1 each needs a connection of its own, and an
// idle one is reused first. Workers that pick in the same instant can exceed it by one each.
bool hasRoom(const BackendView& backend);

}  // namespace regrow
