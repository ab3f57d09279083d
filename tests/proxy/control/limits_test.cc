#include "proxy/control/limits.h"

#include <catch2/catch.hpp>

#include "tests/support/control_fixture.h"

using namespace regrow;
using namespace regrow::control;

TEST_CASE("descriptors are kept back for recoveries, checks and the admin endpoint", "[limits]") {
    const auto config = test::wikiConfig();
    for (const uint64_t descriptors : {64U, 256U, 1024U, 20'000U, 1'048'576U}) {
        const Machine machine{descriptors, uint64_t{8} << 30};
        const auto view = limitsView(config, machine);
        CHECK(view.connections >= 1);
        CHECK(view.upstreams >= 1);
        const auto kept = static_cast<int64_t>(descriptors) - view.connections - view.upstreams;
        CHECK(kept >= std::min<int64_t>(128, static_cast<int64_t>(descriptors) / 2));
    }
}

TEST_CASE("what is written holds, as far as descriptors go", "[limits]") {
    auto config = test::wikiConfig();
    config.limits = {500, uint64_t{1} << 30};
    auto view = limitsView(config, {20'000, uint64_t{8} << 30});
    CHECK(view.connections == 500);
    CHECK(view.memory == uint64_t{1} << 30);
    config.limits.connections = 50'000;
    view = limitsView(config, {20'000, 1});
    CHECK(view.connections > 10'000);
    CHECK(view.connections < 20'000);
    CHECK(view.upstreams > 1000);
}

TEST_CASE("memory is three quarters of what the machine has", "[limits]") {
    CHECK(limitsView(test::wikiConfig(), {1024, uint64_t{8} << 30}).memory == uint64_t{6} << 30);
    CHECK(Machine::own().memory > 0);
    CHECK(Machine::own().descriptors > 0);
}
