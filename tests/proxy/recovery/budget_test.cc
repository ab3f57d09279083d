#include "proxy/recovery/budget.h"

#include <catch2/catch.hpp>

using namespace regrow;
using namespace regrow::recovery;
using namespace std::chrono_literals;

TEST_CASE("a budget of two per hour") {
    Budget budget;
    const Instant t{1000h};
    CHECK(budget.left(2, 1h, t));
    CHECK_FALSE(budget.left(0, 1h, t));
    budget.spend(t);
    budget.spend(t + 10min);
    CHECK_FALSE(budget.left(2, 1h, t + 59min));
    CHECK(budget.nextFree(2, 1h, t + 59min) == t + 1h);
    CHECK(budget.left(2, 1h, t + 1h));
    CHECK_FALSE(budget.nextFree(2, 1h, t + 1h));
    budget.forget(1h, t + 65min);
    CHECK(budget.spent.size() == 1);
}

TEST_CASE("a backend that dies soon after its recovery is held down, twice as long each time") {
    const FlapPolicy policy;
    FlapHistory history;
    Instant t{1000h};
    history.died(policy, t);
    CHECK_FALSE(history.heldUntil(t));
    Duration expected = policy.hold_first;
    for (int i = 0; i < 8; i++) {
        history.recoveredAt(t);
        t += 1min;
        history.died(policy, t);
        CHECK(history.heldUntil(t) == t + std::min(expected, policy.hold_longest));
        history.died(policy, t + 1s);  // the same recovery is not counted twice
        CHECK(history.heldUntil(t) == t + std::min(expected, policy.hold_longest));
        expected *= 2;
        t = *history.heldUntil(t);
        CHECK_FALSE(history.heldUntil(t));
    }
    t += 2h;
    history.recoveredAt(t);
    history.died(policy, t + policy.window);
    CHECK_FALSE(history.heldUntil(t + policy.window));
    CHECK(history.holds == 0);
}

TEST_CASE("restarts in place are counted within a window, and returning too often is noticed") {
    const FlapPolicy policy;
    FlapHistory history;
    const Instant t{1000h};
    CHECK_FALSE(history.restartAllowed(policy, 0, t));
    CHECK(history.restartAllowed(policy, 1, t));
    history.restartedInPlace(t);
    CHECK_FALSE(history.restartAllowed(policy, 1, t + 9min));
    CHECK(history.restartAllowed(policy, 1, t + 10min));
    for (int i = 0; i < 3; i++) {
        CHECK_FALSE(history.unstable(policy, t));
        history.returnedHealthy(t);
    }
    CHECK(history.unstable(policy, t + 9min));
    CHECK_FALSE(history.unstable(policy, t + 10min));
}
