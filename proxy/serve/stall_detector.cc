#include "proxy/serve/stall_detector.h"

#include <algorithm>

#include "base/log.h"
#include "proxy/serve/hold_queue.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {
namespace {

constexpr size_t kMostAvoided = 8;  // what Tried holds beside those that were tried

// At most half of those that accept, so never the last: when most of a pool is silent, the cause is
// rarely the backends.
size_t capOf(const PoolView& pool) {
    const auto accepting = std::ranges::count_if(pool.backends, &BackendView::accepting);
    return std::min(kMostAvoided, static_cast<size_t>(accepting) / 2);
}

}  // namespace

void StallDetector::answered(Place& place, Duration latency) {
    heard_ = worker_.now();
    if (!place.silence.stalled()) usual_.record(latency);
    place.silence.answered(latency, heard_);
}

const BackendView* StallDetector::pickAround(PoolBalancer& balancer, Instant now, Tried tried,
                                             const RequestKey& key) const {
    const Tried before = tried;
    tried.add(avoided_);
    if (const BackendView* b = balancer.pick(now, tried, key)) return b;
    return balancer.pick(now, before, key);
}

void StallDetector::sweep(HoldQueue& queue) {
    const PoolView* const pool = queue.pool();
    if (!pool) return avoided_.clear();
    judge(*pool);
    const Instant now = worker_.now();
    const Duration after = usual_.samples() >= Silence::kEnough
                               ? kHedgeTimes * usual_.quantile(0.95)
                               : Duration::max();
    for (const BackendView& b : pool->backends)
        if (Place* const place = worker_.upstreams.place(b.slot);
            place && !place->hedgeable.empty())
            hedge(queue, *place, now, after);
}

void StallDetector::judge(const PoolView& pool) {
    const Instant now = worker_.now();
    size_t stalled = 0;
    avoided_.clear();
    for (const bool known : {true, false}) {
        for (const BackendView& b : pool.backends) {
            Place* const place = worker_.upstreams.place(b.slot);
            if (!place || place->silence.stalled() != known) continue;
            Silence& silence = place->silence;
            if (known && silence.out() == 0 && !place->late_answer.waiting()) {
                silence.trust(now);  // nothing is left that could tell: it is asked again
                continue;
            }
            if (!known) {
                if (!b.accepting || !silence.silent(now, heard_, usual_)) continue;
                if (stalled >= capOf(pool)) return;
                silence.stall();
                place->shard->stalls.add();
                log::warn("backend",
                          "{}/{} has fallen silent with {} requests; new ones go elsewhere",
                          pool.name, b.name, silence.unanswered());
            }
            ++stalled;
            if (stalled <= kMostAvoided) avoided_.add(b.slot);
        }
    }
}

// In the order in which they were sent. Who finds the budget empty waits for the next tick.
void StallDetector::hedge(HoldQueue& queue, Place& place, Instant now, Duration after) {
    while (BackendUser* const user = place.hedgeable.first()) {
        if (!place.silence.stalled() && now - user->asked_at < after) return;
        if (!queue.budget().allows(now)) return;
        user->Link<InHedgeable>::unlink();
        user->onOverdue();
    }
}

}  // namespace regrow::serve
