#pragma once

#include "base/random.h"
#include "proxy/balance/members.h"
#include "proxy/balance/weighted_draw.h"

namespace regrow {

// Two backends drawn by weight, and of these the one with fewer requests under way for its weight
// (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001). The cost does not
// depend on the size of the pool, and many proxies that look at the same idle backend do not all
// run to it. Those that may not be chosen are drawn again, a few times; then the pool is searched.
class RandomTwo : public Balancer {
  public:
    explicit RandomTwo(uint32_t rotation) : rotation_(rotation), random_(rotation + 1) {}
    void update(const PoolView& pool, int priority, Instant now) override;
    const BackendView* pick(Instant now, const Tried& tried, const RequestKey& key) override;
    bool exhausted(const Tried& tried) const override { return members_.exhausted(tried); }

  protected:
    // Less is better.
    virtual double cost(size_t member, Instant now) const;
    const Members& members() const { return members_; }

  private:
    size_t draw(const Tried& tried, size_t other);
    size_t search(const Tried& tried);

    uint32_t rotation_;
    Random random_;
    Members members_;
    WeightedDraw draw_;
};

}  // namespace regrow
