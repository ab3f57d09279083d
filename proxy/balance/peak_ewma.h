#pragma once

#include <vector>

#include "proxy/balance/random_two.h"

namespace regrow {

// Of two backends drawn by weight the one where a request would be answered sooner: its latency, as
// this worker has seen it, times the requests under way and this one. The latency is Twitter
// Finagle's peak EWMA (PeakEwma.scala, "a measure that is sensitive to latency spikes but recovers
// cautiously"): a slower answer than known counts at once, faster ones by and by, and silence
// forgets, so that who was slow is asked again. Its weight is e^(-age / 10 s).
class PeakEwma final : public RandomTwo {
  public:
    using RandomTwo::RandomTwo;
    void update(const PoolView& pool, int priority, Instant now) override;
    void answered(uint32_t slot, Duration latency, Instant now) override;

    // What is known of a place, in seconds; 0: nothing.
    double latency(uint32_t slot, Instant now) const;

  private:
    struct Peak {
        double seconds = 0;
        Instant at{};
        uint64_t epoch = 0;
    };
    double cost(size_t member, Instant now) const override;

    std::vector<Peak> peaks_;  // by slot: places keep theirs over views
};

}  // namespace regrow
