#include "proxy/serve/hold_queue.h"

#include <algorithm>

#include "proxy/serve/exchange.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {

void HoldQueue::update(const PoolView* pool) {
    pool_ = pool;
    troubled_ = false;
    for (Exchange* e = waiting_.first(); e; e = waiting_.after(*e)) e->wait.not_before = {};
    if (!pool) return;
    stats_ = pool->stats;
    if (!balancer_ || kind_ != pool->balance) {
        kind_ = pool->balance;
        balancer_ = makeBalancer(kind_, static_cast<uint32_t>(worker_.index()));
    }
    balancer_->update(*pool, worker_.now());
    budget_.configure(pool->retry.budget, worker_.count());
}

// In the order of first arrival: a request that comes back (its try failed) stands where it stood.
bool HoldQueue::push(Exchange& exchange) {
    const int most = pool_ ? pool_->hold.requests : 0;
    if (!stats_ || stats_->waiting.fetch_add(1, std::memory_order_relaxed) >= most) {
        if (stats_) stats_->waiting.fetch_sub(1, std::memory_order_relaxed);
        return false;
    }
    if (exchange.wait.number == 0) exchange.wait.number = next_number_++;
    Exchange* at = waiting_.empty() ? nullptr : &waiting_.back();
    while (at && at->wait.number > exchange.wait.number) at = waiting_.before(*at);
    if (at)
        waiting_.insertAfter(*at, exchange);
    else
        waiting_.pushFront(exchange);
    return true;
}

void HoldQueue::remove(Exchange& exchange) {
    if (!exchange.Link<InHold>::linked()) return;
    forget(exchange);
}

void HoldQueue::forget(Exchange& exchange) {
    exchange.Link<InHold>::unlink();
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
    for (Exchange* e = waiting_.first(); e; e = waiting_.after(*e)) e->wait.not_before = {};
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
        Exchange& e = waiting_.front();
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
        Exchange& e = waiting_.front();
        if (e.wait.not_before > now || (paced && tokens_ < 1)) break;
        forget(e);
        e.onReleased();
        if (!waiting_.empty() && &waiting_.front() == &e) break;  // nothing has room yet
        if (paced) tokens_ -= 1;
    }
    pumping_ = false;
}

}  // namespace regrow::serve
