#pragma once

#include "proxy/balance/members.h"

namespace regrow {

// Everyone in turn, by weight, spread evenly (5:1:1 gives a a b a c a a).
class RoundRobin final : public Balancer {
  public:
    explicit RoundRobin(uint32_t rotation) : rotation_(rotation) {}
    void update(const PoolView& pool, Instant now) override {
        members_.update(pool, now, rotation_);
    }
    const BackendView* pick(Instant now, const Tried& tried) override;

  private:
    uint32_t rotation_;
    Members members_;
};

}  // namespace regrow
