#pragma once

#include <memory>
#include <vector>

#include "proxy/balance/balancer.h"

namespace regrow {

// How one worker chooses for one pool: first the backend that the client's cookie names, then the
// pool's balancer, over the backends of the lowest priority number; those of the next number only
// when none of it accepts, or this request has tried all of it. Full is not down: where all are at
// max_connections the request waits for them. Worker's thread.
class PoolBalancer {
  public:
    explicit PoolBalancer(uint32_t rotation) : rotation_(rotation) {}

    // As Balancer::update(). A pool whose way of balancing changed begins anew.
    void update(const PoolView& pool, Instant now);
    // As Balancer::pick(); nullptr before the first update().
    const BackendView* pick(Instant now, const Tried& tried, const RequestKey& key);
    // Head sent to response head, or to giving up on it.
    void answered(uint32_t slot, Duration latency, Instant now) {
        if (listens_) tell(slot, latency, now);
    }

  private:
    struct Tier {
        int priority = 0;
        std::unique_ptr<Balancer> balancer;
    };
    const BackendView* sticky(const Tried& tried, const RequestKey& key) const;
    void tell(uint32_t slot, Duration latency, Instant now);

    uint32_t rotation_;
    const PoolView* pool_ = nullptr;
    conf::Balance kind_ = conf::Balance::least_requests;
    bool listens_ = false;
    std::vector<Tier> tiers_;  // by priority
};

}  // namespace regrow
