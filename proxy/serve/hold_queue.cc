#include "proxy/serve/hold_queue.h"

#include <algorithm>
#include <utility>

#include "proxy/serve/backend_user.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {
namespace {

using Queue = List<BackendUser, InHold>;

void tryAtOnce(Queue& queue) {
    for (BackendUser* e = queue.first(); e; e = queue.after(*e)) e->wait.not_before = {};
}

BackendUser* due(Queue& queue, Instant now) {
    BackendUser* const e = queue.first();
    return e && e->wait.not_before <= now ? e : nullptr;
}

// In the order of arrival: a request that comes back (its try failed) stands where it stood.
void insert(Queue& queue, BackendUser& user) {
    BackendUser* at = queue.empty() ? nullptr : &queue.back();
    while (at && at->wait.number > user.wait.number) at = queue.before(*at);
    if (at)
        queue.insertAfter(*at, user);
    else
        queue.pushFront(user);
}

}  // namespace

HoldQueue::HoldQueue(Worker& worker, uint32_t pool_slot)
    : worker_(worker),
      slot_(pool_slot),
      balancer_(static_cast<uint32_t>(worker.index())),
      stalls_(worker) {}

void HoldQueue::answered(Place& place, Duration latency) {
    stalls_.answered(place, latency);
    learn(place.slot, latency);
}

// Requests of a pool that is gone may still be under way; its balancer has nothing to look at.
void HoldQueue::learn(uint32_t slot, Duration latency) {
    if (pool_) balancer_.answered(slot, latency, worker_.now());
}

void HoldQueue::update(const PoolView* pool) {
    pool_ = pool;
    troubled_ = false;
    tryAtOnce(waiting_);
    tryAtOnce(owing_);
    if (!pool) return;
    if (!anyAccepting()) away();
    stats_ = pool->stats;
    balancer_.update(*pool, worker_.now());
    budget_.configure(pool->retry.budget, worker_.count());
}

bool HoldQueue::push(BackendUser& user) {
    const int most = pool_ ? pool_->hold.requests : 0;
    if (!stats_ || stats_->waiting.fetch_add(1, std::memory_order_relaxed) >= most) {
        if (stats_) stats_->waiting.fetch_sub(1, std::memory_order_relaxed);
        return false;
    }
    if (user.wait.number == 0) user.wait.number = next_number_++;
    insert(user.wait.owes ? owing_ : waiting_, user);
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
    away();
}

void HoldQueue::away() {
    outlook_ = Outlook::away;
    away_at_ = worker_.now();
}

// What was in flight when the backends went away, or when they last answered, says nothing of how
// they are now.
void HoldQueue::onUnanswered(Instant began, bool again) {
    if (began <= std::max(away_at_, served_at_)) return;
    if (again) outlook_ = Outlook::failing;
    if (outlook_ == Outlook::away) outlook_ = Outlook::fine;
}

void HoldQueue::served() {
    if (std::exchange(outlook_, Outlook::fine) != Outlook::away) return;
    BackendUser* at = waiting_.first();
    while (!owing_.empty()) {
        BackendUser& e = owing_.popFront();
        e.wait.owes = false;
        e.wait.not_before = {};
        while (at && at->wait.number < e.wait.number) at = waiting_.after(*at);
        if (at)
            waiting_.insertBefore(*at, e);
        else
            waiting_.pushBack(e);
    }
    worker_.pumpSoon();
}

void HoldQueue::calm() {
    troubled_ = false;
    tryAtOnce(waiting_);
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
    while (!owing_.empty()) {
        BackendUser& e = owing_.popFront();
        e.wait.owes = false;
        waiting_.pushBack(e);
    }
    while (!waiting_.empty()) {
        BackendUser& e = waiting_.front();
        forget(e);
        e.onReleased();
    }
}

// One on credit: with nothing to spend it must still be found out whether the backend answers.
bool HoldQueue::pays(Instant now) {
    if (!budget_.allows(now) && (failing() || !budget_.lends(now))) return false;
    budget_.charge();
    return true;
}

// Whose try it is, in the order of arrival.
BackendUser* HoldQueue::next(Instant now, int& paid) {
    BackendUser* const free = due(waiting_, now);
    BackendUser* const owing = paid < kProbes ? due(owing_, now) : nullptr;
    if (!owing || (free && free->wait.number < owing->wait.number) || !pays(now)) return free;
    owing->wait.owes = false;
    owing->wait.paid = true;
    next_paid_ = now + kPace;
    ++paid;
    return owing;
}

// They are told by what they still owe.
void HoldQueue::giveUpOwing() {
    while (!owing_.empty()) {
        BackendUser& e = owing_.front();
        forget(e);
        e.onReleased();
    }
}

void HoldQueue::pump() {
    if (empty() || pumping_) return;
    if (!pool_) return dismiss();
    if (!anyAccepting()) return;
    const Instant now = worker_.now();
    if (troubled_ && now < next_probe_) return;
    if (troubled_) next_probe_ = now + kPace;
    const bool paced = pool_->release_per_second > 0;
    if (paced) earnTokens();
    pumping_ = true;
    int paid = now < next_paid_ ? kProbes : 0;
    for (int tried = 0; (!troubled_ || tried < kProbes) && (!paced || tokens_ >= 1); ++tried) {
        BackendUser* const e = next(now, paid);
        if (!e) break;
        forget(*e);
        e->onReleased();
        if (e->Link<InHold>::linked()) break;  // nothing has room yet
        if (paced) tokens_ -= 1;
    }
    if (failing() && !budget_.allows(now)) giveUpOwing();
    pumping_ = false;
}

}  // namespace regrow::serve
