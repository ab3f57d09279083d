#include "proxy/serve/hold_queue.h"

#include <algorithm>

#include "proxy/serve/backend_user.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {

HoldQueue::HoldQueue(Worker& worker, uint32_t pool_slot)
    : worker_(worker),
      slot_(pool_slot),
      balancer_(static_cast<uint32_t>(worker.index())),
      stalls_(worker) {}

void HoldQueue::answered(Place& place, Duration latency) {
    stalls_.answered(place, latency);
    balancer_.answered(place.slot, latency, worker_.now());
}

void HoldQueue::update(const PoolView* pool) {
    pool_ = pool;
    troubled_ = false;
    for (BackendUser* e = waiting_.first(); e; e = waiting_.after(*e)) e->wait.not_before = {};
    if (!pool) return;
    stats_ = pool->stats;
    balancer_.update(*pool, worker_.now());
    budget_.configure(pool->retry.budget, worker_.count());
}

// In the order of first arrival: a request that comes back (its try failed) stands where it stood.
bool HoldQueue::push(BackendUser& user) {
    const int most = pool_ ? pool_->hold.requests : 0;
    if (!stats_ || stats_->waiting.fetch_add(1, std::memory_order_relaxed) >= most) {
        if (stats_) stats_->waiting.fetch_sub(1, std::memory_order_relaxed);
        return false;
    }
    if (user.wait.number == 0) user.wait.number = next_number_++;
    BackendUser* at = waiting_.empty() ? nullptr : &waiting_.back();
    while (at && at->wait.number > user.wait.number) at = waiting_.before(*at);
    if (at)
        waiting_.insertAfter(*at, user);
    else
        waiting_.pushFront(user);
    return true;
}

void HoldQueue::remove(BackendUser& user) {
    if (!user.Link<InHold>::linked()) return;
    forget(user);
}

void HoldQueue::forget(BackendUser& user) {
    user.Link<InHold>::unlink();
    stats_->waiting.fetch_sub(1, std::memory_order_relaxed);
}

bool HoldQueue::anyAccepting() const {
    return pool_ &&
           std::ranges::any_of(pool_->backends, [](const BackendView& b) { return b.accepting; });
}

void HoldQueue::onRefused() {
    troubled_ = true;
    next_probe_ = worker_.now() + kPace;
}

void HoldQueue::calm() {
    troubled_ = false;
    for (BackendUser* e = waiting_.first(); e; e = waiting_.after(*e)) e->wait.not_before = {};
    worker_.pumpSoon();
}

void HoldQueue::earnTokens() {
    const double rate = pool_->release_per_second / worker_.count();
    const double most = std::max(1.0, rate * 0.1);  // what a late tick may make up for
    tokens_ = std::min(most, tokens_ + rate * std::max(0.0, toSeconds(worker_.now() - tokens_at_)));
    tokens_at_ = worker_.now();
}

// The pool is gone: each is told so.
void HoldQueue::dismiss() {
    while (!waiting_.empty()) {
        BackendUser& e = waiting_.front();
        forget(e);
        e.onReleased();
    }
}

void HoldQueue::pump() {
    if (waiting_.empty() || pumping_) return;
    if (!pool_) return dismiss();
    if (!anyAccepting()) return;
    const Instant now = worker_.now();
    if (troubled_ && now < next_probe_) return;
    if (troubled_) next_probe_ = now + kPace;
    const bool paced = pool_->release_per_second > 0;
    if (paced) earnTokens();
    pumping_ = true;
    for (int tried = 0; !waiting_.empty() && (!troubled_ || tried < kProbes); ++tried) {
        BackendUser& e = waiting_.front();
        if (e.wait.not_before > now || (paced && tokens_ < 1)) break;
        forget(e);
        e.onReleased();
        if (!waiting_.empty() && &waiting_.front() == &e) break;  // nothing has room yet
        if (paced) tokens_ -= 1;
    }
    pumping_ = false;
}

}  // namespace regrow::serve
