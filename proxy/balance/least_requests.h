#pragma once

#include <array>

#include "proxy/balance/members.h"

namespace regrow {

// The backend with the fewest requests under way for its weight; those that tie take turns by
// weight, so that an idle pool is shared as round robin would. Counts are those of all workers.
//
// Above kWindow backends it looks at kWindow of them, the next ones each time: the best of 16 is as
// good as the best of all in effect (Mitzenmacher, "The Power of Two Choices", 2001) and the cost
// does not grow with the pool.
class LeastRequests final : public Balancer {
  public:
    static constexpr size_t kWindow = 16;

    explicit LeastRequests(uint32_t rotation) : rotation_(rotation) {}
    void update(const PoolView& pool, int priority, Instant now) override;
    const BackendView* pick(Instant now, const Tried& tried, const RequestKey& key) override;
    bool exhausted(const Tried& tried) const override { return members_.exhausted(tried); }

  private:
    // The least loaded so far, all equal.
    struct Ties {
        std::array<uint32_t, kWindow> members;
        size_t count = 0;
        uint64_t load = 0;
        int64_t weight = 1;
    };
    void consider(size_t i, Ties& ties) const;
    size_t lookAt(size_t begin, size_t count, const Tried& tried, Ties& ties) const;

    uint32_t rotation_;
    size_t cursor_ = 0;
    Members members_;
};

}  // namespace regrow
