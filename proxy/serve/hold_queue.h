#pragma once

#include <memory>

#include "proxy/balance/pool_balancer.h"
#include "proxy/balance/view.h"
#include "proxy/serve/list.h"
#include "proxy/serve/retry_budget.h"
#include "proxy/serve/stall_detector.h"

namespace regrow::serve {

class BackendUser;
class Worker;
struct InHold;

// One pool as this worker sees it: its balancer and retry budget, and the requests that wait here,
// first come first served. They wait because no backend accepts, because all that accept refused
// them, or because all are at max_connections; their number over all workers is bounded by one
// atomic in PoolStats. Nothing is handed between workers.
//
// pump() looks at the queue: after each new view, each tick, and when a connection became free.
// While backends that should accept refuse (`troubled`), only a few requests try each kPace, and
// everything else waits behind them; the first answer opens the gate. Otherwise requests leave as
// fast as release_per_second allows.
//
// What a backend took and left unanswered *owes*: sent again it is a retry, and a server that fails
// everything must not get everything three times. So a few are sent each kPace, within the budget.
// Only when the backends have been away meanwhile (they refused, or control took them out) and one
// answers again, it was their death that ended those requests: then all that owe are sent, for
// free. When what is sent again fails too and the budget is used up, they are given up.
class HoldQueue {
  public:
    HoldQueue(Worker& worker, uint32_t pool_slot);

    // The worker took a new view; nullptr: the pool is gone. Everybody who waits may try again at
    // once.
    void update(const PoolView* pool);
    const PoolView* pool() const { return pool_; }
    const BackendView* pick(Instant now, const Tried& tried, const RequestKey& key) {
        return stalls_.pick(balancer_, now, tried, key);
    }
    // A response head came after this long.
    void answered(Place& place, Duration latency);
    // Or none came in that time.
    void learn(uint32_t slot, Duration latency);
    void lookForStalls() { stalls_.sweep(*this); }
    RetryBudget& budget() { return budget_; }

    bool push(BackendUser& user);    // false: the pool's bound is reached
    void remove(BackendUser& user);  // it left, or its time is up
    bool empty() const { return waiting_.empty() && owing_.empty(); }
    void pump();

    bool anyAccepting() const;
    bool troubled() const { return troubled_; }
    void onRefused();  // a backend that should accept did not
    // One took a request (the attempt began then) and did not answer; `again`: it was sent again to
    // see whether that is so.
    void onUnanswered(Instant began, bool again);
    void onServed(Instant now) {  // an answer that is no server's failure
        served_at_ = now;
        if (outlook_ != Outlook::fine) served();
    }
    bool failing() const { return outlook_ == Outlook::failing; }
    void onAnswer() {
        if (troubled_) calm();
    }

    static constexpr Duration kPace = std::chrono::milliseconds(50);

  private:
    using Queue = List<BackendUser, InHold>;
    static constexpr int kProbes = 4;
    BackendUser* next(Instant now, int& paid);
    bool pays(Instant now);
    void giveUpOwing();
    void served();
    void away();
    void dismiss();
    void calm();
    void earnTokens();
    void forget(BackendUser& user);

    Worker& worker_;
    uint32_t slot_;
    const PoolView* pool_ = nullptr;
    std::shared_ptr<PoolStats> stats_;  // of the waiting: outlives the view
    PoolBalancer balancer_;
    StallDetector stalls_;
    RetryBudget budget_;
    Queue waiting_;
    Queue owing_;
    // Of the backends that should accept: when they were last seen away, or that what was sent
    // again failed too.
    enum class Outlook : uint8_t { fine, away, failing };
    Outlook outlook_ = Outlook::fine;
    Instant away_at_{};
    Instant served_at_{};
    bool troubled_ = false;
    bool pumping_ = false;
    Instant next_probe_{};
    Instant next_paid_{};
    double tokens_ = 0;
    Instant tokens_at_{};
    uint64_t next_number_ = 1;
};

}  // namespace regrow::serve
