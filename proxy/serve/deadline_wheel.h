#pragma once

#include <array>
#include <cstdint>

#include "base/clock.h"
#include "proxy/serve/list.h"

namespace regrow::serve {

// One coarse deadline of an object. Setting it later, or clearing it, writes a field; only setting
// it earlier relinks. The callback may set it again, and may set, clear or destroy others.
class Deadline : public Link<Deadline> {
  public:
    using Expired = void (*)(void* owner);
    Deadline(Expired expired, void* owner) : expired_(expired), owner_(owner) {}

    void clear() { at_ = Instant::max(); }
    bool armed() const { return at_ != Instant::max(); }

  private:
    friend class DeadlineWheel;
    Instant at_ = Instant::max();
    uint64_t tick_ = 0;  // the bucket it is linked in
    Expired expired_;
    void* owner_;
};

// Deadlines by the 50 ms in which they fall; swept once per tick. A deadline that moved is looked
// at when its old bucket comes up and put where it now belongs (a lazy version of Varghese and
// Lauck's hashed wheel), so that a request, which moves several, touches no list. The price is
// being up to a tick late. One per worker.
class DeadlineWheel {
  public:
    static constexpr Duration kTick = std::chrono::milliseconds(50);

    explicit DeadlineWheel(Instant start) : start_(start) {}

    void set(Deadline& d, Instant at) {
        d.at_ = at;
        const uint64_t tick = bucketTick(at);
        if (d.linked() && d.tick_ <= tick) return;
        link(d, tick);
    }
    // Runs the callbacks of all that expired. Call once per tick or less often.
    void sweep(Instant now);

  private:
    static constexpr size_t kBuckets =
        512;  // 25.6 s; longer deadlines are looked at again on the way

    uint64_t tickOf(Instant at) const {
        return at <= start_ ? 0 : static_cast<uint64_t>((at - start_) / kTick);
    }
    uint64_t bucketTick(Instant at) const;
    void link(Deadline& d, uint64_t tick) {
        d.unlink();
        d.tick_ = tick;
        buckets_[tick % kBuckets].pushBack(d);
    }
    void sweepBucket(uint64_t tick, Instant now);

    Instant start_;
    uint64_t swept_ = 0;  // every bucket up to this tick has been swept
    std::array<List<Deadline, Deadline>, kBuckets> buckets_;
};

}  // namespace regrow::serve
