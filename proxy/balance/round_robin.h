#pragma once

#include "proxy/balance/members.h"

namespace regrow {

// Everyone in turn, by weight, spread evenly (5:1:1 gives a a b a c a a).
class RoundRobin final : public Balancer {
  public:
    explicit RoundRobin(uint32_t rotation) : rotation_(rotation) {}
    void update(const PoolView& pool, int priority, Instant now) override {
        members_.update(pool, priority, now, rotation_);
    }
    const BackendView* pick(Instant now, const Tried& tried, const RequestKey& key) override;
    bool exhausted(const Tried& tried) const override { return members_.exhausted(tried); }

  private:
    uint32_t rotation_;
    Members members_;
};

}  // namespace regrow
