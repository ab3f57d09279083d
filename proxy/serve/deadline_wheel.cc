#include "proxy/serve/deadline_wheel.h"

#include <algorithm>

namespace regrow::serve {

// Rounded up, so that a bucket is swept when what belongs in it has passed; never one already
// swept.
uint64_t DeadlineWheel::bucketTick(Instant at) const {
    if (at == Instant::max()) return swept_ + kBuckets - 1;
    return std::clamp(tickOf(at) + 1, swept_ + 1, swept_ + kBuckets - 1);
}

void DeadlineWheel::sweep(Instant now) {
    const uint64_t until = tickOf(now);
    if (until > swept_ + kBuckets)
        swept_ = until - kBuckets;  // slept long: each bucket once is enough
    while (swept_ < until) {
        ++swept_;
        sweepBucket(swept_, now);
    }
}

void DeadlineWheel::sweepBucket(uint64_t tick, Instant now) {
    List<Deadline, Deadline> due;  // callbacks may link into this very bucket, for a later round
    due.take(buckets_[tick % kBuckets]);
    while (!due.empty()) {
        Deadline& d = due.popFront();
        if (!d.armed()) continue;
        if (d.at_ > now) {
            link(d, bucketTick(d.at_));
            continue;
        }
        d.clear();
        d.expired_(d.owner_);
    }
}

}  // namespace regrow::serve
