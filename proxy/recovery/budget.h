#pragma once

#include <deque>
#include <optional>

#include "base/clock.h"

// How often is too often: the recovery budget of a pool, and the memory of a backend that keeps
// dying. Pure values, kept by control and journalled (journal.h turns their instants into ages, so
// neither a restart nor a boot forgives anything).
namespace regrow::recovery {

// recovery.budget: at most `count` recoveries begun (past the gate) per `per`, over all backends of
// a pool.
struct Budget {
    std::deque<Instant> spent;

    bool left(int count, Duration per, Instant now) const;
    void spend(Instant now);
    // When the next one is free; nothing when one is free now or count is 0.
    std::optional<Instant> nextFree(int count, Duration per, Instant now) const;
    void forget(Duration per, Instant now);  // what no longer counts
    friend bool operator==(const Budget&, const Budget&) = default;
};

struct FlapPolicy {
    Duration window =
        std::chrono::minutes(10);  // a restart or return followed by death within it did not last
    int returns = 3;               // so many returns within the window make a backend unstable
    Duration hold_first = std::chrono::minutes(2);
    Duration hold_longest = std::chrono::hours(1);
};

// One backend's. Hold-down doubles with each recovery that did not last, and is forgotten after
// hold_longest of peace.
struct FlapHistory {
    std::deque<Instant> restarts;      // in place
    std::deque<Instant> returns;       // it was suspect and came back
    std::optional<Instant> recovered;  // the last recovery's end
    std::optional<Instant> hold_until;
    int holds = 0;

    void restartedInPlace(Instant now);
    void returnedHealthy(Instant now);
    void recoveredAt(Instant now);
    // To be called once for each death (begin of a recovery): starts the hold-down when the last
    // recovery did not last.
    void died(const FlapPolicy& policy, Instant now);

    bool restartAllowed(const FlapPolicy& policy, int limit,
                        Instant now) const;  // limit: service.restart
    bool unstable(const FlapPolicy& policy, Instant now) const;
    std::optional<Instant> heldUntil(Instant now) const;
    friend bool operator==(const FlapHistory&, const FlapHistory&) = default;
};

}  // namespace regrow::recovery
