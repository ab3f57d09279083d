#pragma once

#include "proxy/balance/pool_balancer.h"
#include "proxy/serve/latency_sketch.h"

namespace regrow::serve {

class HoldQueue;
class Worker;
struct Place;

// Which backends of a pool have fallen silent for this worker (silence.h), and which of its
// requests have waited so long that a second backend is asked (hedging, after Dean and Barroso,
// "The Tail at Scale", 2013). Looks on the worker's tick only, so both come up to a tick late, and
// nothing is kept for each request but a place in a list. It is this worker's own caution, not a
// verdict: health is told nothing, and takes what it decides from its checks and from failures as
// ever. Worker's thread.
class StallDetector {
  public:
    static constexpr int kHedgeTimes = 2;  // the pool's p95

    explicit StallDetector(Worker& worker) : worker_(worker) {}

    void answered(Place& place, Duration latency);
    void sweep(HoldQueue& queue);
    // As PoolBalancer::pick(), silent backends last.
    const BackendView* pick(PoolBalancer& balancer, Instant now, const Tried& tried,
                            const RequestKey& key) {
        if (avoided_.empty()) [[likely]]
            return balancer.pick(now, tried, key);
        return pickAround(balancer, now, tried, key);
    }

  private:
    const BackendView* pickAround(PoolBalancer& balancer, Instant now, Tried tried,
                                  const RequestKey& key) const;
    void judge(const PoolView& pool);
    void hedge(HoldQueue& queue, Place& place, Instant now, Duration after);

    Worker& worker_;
    LatencySketch usual_;  // of all backends
    Instant heard_{};      // the last answer of any
    Tried avoided_;
};

}  // namespace regrow::serve
