#include "proxy/recovery/panic.h"

#include <catch2/catch.hpp>

using namespace regrow;
using namespace regrow::recovery;
using namespace std::chrono_literals;

TEST_CASE("half a pool dying within seconds is panic, one after the other is not") {
    const PanicPolicy policy;
    const Instant t{1000h};
    Panic panic;
    SECTION("one of one, and one of two, are ordinary deaths") {
        panic.died("a", 1, policy, t);
        CHECK_FALSE(panic.panicking());
        panic.died("a", 2, policy, t);
        CHECK_FALSE(panic.panicking());
    }
    SECTION("two of five") {
        panic.died("a", 5, policy, t);
        panic.died("b", 5, policy, t);
        CHECK_FALSE(panic.panicking());
    }
    SECTION("two of four, minutes apart") {
        panic.died("a", 4, policy, t);
        panic.died("b", 4, policy, t + 1min);
        CHECK_FALSE(panic.panicking());
    }
    SECTION("two of four at once: one canary decides for all") {
        panic.died("a", 4, policy, t);
        panic.died("b", 4, policy, t + 2s);
        CHECK(panic.stops("a", policy, t + 3s));
        CHECK(panic.stops("b", policy, t + 3s));
        CHECK_FALSE(panic.stops("b", policy, t + 13s));
        CHECK(panic.stops("a", policy, t + 13s));
        CHECK_FALSE(panic.stops("b", policy, t + 14s));
        SECTION("it succeeds") {
            panic.recoveryEnded("b", true);
            CHECK_FALSE(panic.stops("a", policy, t + 20s));
        }
        SECTION("one that was past the gate before succeeds") {
            panic.recoveryEnded("a", true);
            CHECK_FALSE(panic.panicking());
            CHECK_FALSE(panic.stops("b", policy, t + 20s));
        }
        SECTION("one that was past the gate before fails: the canary goes on alone") {
            panic.recoveryEnded("a", false);
            CHECK(panic.canary == "b");
            CHECK(panic.stops("a", policy, t + 20s));
        }
        SECTION("it fails: another may try") {
            panic.recoveryEnded("b", false);
            CHECK_FALSE(panic.stops("a", policy, t + 20s));
            CHECK(panic.canary == "a");
        }
        SECTION("an operator says so") {
            panic.overridden();
            CHECK_FALSE(panic.stops("a", policy, t + 14s));
        }
        SECTION("all return by themselves") {
            panic.returned("a");
            CHECK(panic.panicking());
            panic.returned("b");
            CHECK_FALSE(panic.panicking());
        }
    }
    SECTION("nothing more happens for minutes: over") {
        panic.died("a", 2, policy, t);
        panic.died("b", 2, policy, t);
        panic.tick(policy, t + 4min);
        CHECK(panic.panicking());
        panic.tick(policy, t + 5min);
        CHECK_FALSE(panic.panicking());
    }
}
