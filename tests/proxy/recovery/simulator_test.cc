#include <catch2/catch.hpp>
#include <cstdlib>
#include <functional>

#include "tests/support/sim_world.h"

using regrow::test::SimWorld;

namespace {

// Every one of them broke an invariant once.
constexpr uint64_t kRegressions[] = {17, 108, 110, 232, 2072, 2101, 3659};

}  // namespace

TEST_CASE("seeds that once failed") {
    for (const uint64_t seed : kRegressions) CHECK(SimWorld(seed).run() == "");
}

TEST_CASE("ten thousand failures, one machine") {
    const char* from_environment = std::getenv("REGROW_SIM_SEEDS");
    const uint64_t seeds = from_environment ? std::strtoull(from_environment, nullptr, 10) : 10'000;
    std::set<std::string> seen;
    int failures = 0;
    for (uint64_t seed = 1; seed <= seeds && failures < 3; seed++) {
        SimWorld world(seed);
        const auto wrong = world.run();
        failures += wrong.empty() ? 0 : 1;
        CHECK(wrong == "");
        seen.insert(world.seen().begin(), world.seen().end());
    }
    // The simulator is worth nothing if it does not get everywhere.
    for (const char* place : {"suspect",   "decide",      "fence",      "choose",     "restore",
                              "verify",    "start",       "warm",       "protect",    "done",
                              "cancelled", "recovered",   "ejected",    "reinstated", "crash",
                              "off",       "approval",    "paused",     "flapping",   "budget",
                              "no_spare",  "no_snapshot", "repository", "unfenced",   "journal"}) {
        INFO(place);
        if (seeds >= 10'000 && failures == 0) CHECK(seen.contains(place));
    }
}
