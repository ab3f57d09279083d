#pragma once

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace regrow::serve {

// How many retries a pool may add to its load: a share of its requests, and at least a few a second
// so that a quiet pool can retry at all. A token bucket that requests fill (Finagle's RetryBudget).
// One per pool and worker: with N workers the floor is shared out, the share needs no agreement.
class RetryBudget {
  public:
    static constexpr double kFloorPerSecond = 3;
    static constexpr double kMostTokens = 100;  // what a quiet minute may save up

    void configure(double share, int workers) {
        share_ = share;
        floor_ = kFloorPerSecond / workers;
        least_ = std::max(1.0, kFloorPerSecond / workers);
    }
    void request() { tokens_ = std::min(tokens_ + share_, kMostTokens), earned_ += share_; }
    bool allows(Instant now) {
        refill(now);
        return tokens_ >= 1;
    }
    // One more on credit, when it has to be known whether a backend answers at all.
    bool lends(Instant now) {
        refill(now);
        return tokens_ >= 0;
    }
    void charge() { tokens_ -= 1; }
    void refund() { tokens_ += 1; }

  private:
    // The floor only ever fills the bucket's bottom, and only makes up for what requests did not
    // bring in the same time: it is a rate for quiet pools, not a bonus for busy ones.
    void refill(Instant now) {
        const double least = std::max(0.0, toSeconds(now - refilled_)) * floor_;
        const double earned = std::max(0.0, least - std::exchange(earned_, 0));
        refilled_ = now;
        if (tokens_ < least_) tokens_ = std::min(least_, tokens_ + earned);
    }

    double share_ = 0.2;
    double floor_ = kFloorPerSecond;
    double least_ = kFloorPerSecond;
    double tokens_ = kFloorPerSecond;
    double earned_ = 0;  // by requests, since then
    Instant refilled_{};
};

}  // namespace regrow::serve
