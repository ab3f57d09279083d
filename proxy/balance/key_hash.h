#pragma once

#include <vector>

#include "proxy/balance/least_requests.h"

namespace regrow {

// The backend that a key of the request belongs to (key_table.h), unless it has more than its
// share: then the next in the table, and so on (Mirrokni, Thorup, Zadimoghaddam, "Consistent
// Hashing with Bounded Loads", 2016). With m requests under way on the pool, none takes more than
// ceil(bound * m * its part of the weights), which is 125 % of the average unless the file says
// otherwise. So one hot key cannot sink its backend, and its neighbours in the table share what is
// too much.
//
// A backend that is down, tried or full is stepped over in the same way: its keys go to many
// others, all other keys stay where they are, and it has them back when it returns. In slow start
// it takes the first of its keys, then more: which ones depends on the key, so none goes back and
// forth. Requests without the key go where the fewest are.
class KeyHash final : public Balancer {
  public:
    explicit KeyHash(uint32_t rotation) : fallback_(rotation) {}
    void update(const PoolView& pool, int priority, Instant now) override;
    const BackendView* pick(Instant now, const Tried& tried, const RequestKey& key) override;
    bool exhausted(const Tried& tried) const override { return fallback_.exhausted(tried); }

  private:
    bool hasShare(const BackendView& backend) const;

    LeastRequests fallback_;
    const PoolView* pool_ = nullptr;
    std::vector<uint8_t> usable_;  // by index into the pool's backends
    double weights_ = 0;           // of the usable
};

}  // namespace regrow
