#include "proxy/control/views.h"

#include <catch2/catch.hpp>

#include "proxy/balance/router.h"
#include "tests/support/control_fixture.h"
#include "tests/support/control_loop.h"

using namespace regrow;
using namespace regrow::control;
using namespace std::chrono_literals;
using health::Verdict;

TEST_CASE("only a healthy server that nobody took out gets new requests", "[views]") {
    test::ControlFixture f;
    auto& place = f.place();
    const auto accepts = [&] { return accepting(*f.registry, place); };
    CHECK(accepts());
    for (const auto verdict : {Verdict::suspect, Verdict::down}) {
        place.health.verdict = verdict;
        CHECK_FALSE(accepts());
    }
    place.health.verdict = Verdict::up;
    place.fenced = true;
    CHECK_FALSE(accepts());
    place.fenced = false;
    REQUIRE(f.journal->flag(place.key, {.drained = true}));
    CHECK_FALSE(accepts());
    REQUIRE(f.journal->flag(place.key, {.maintenance = true}));
    CHECK(accepts());
    REQUIRE(f.journal->assign(place.key, {"", 5, "", ""}));
    CHECK_FALSE(accepts());
    REQUIRE(f.journal->assign(place.key, {"gone-from-the-file", 5, "", ""}));
    CHECK_FALSE(accepts());
}

TEST_CASE("a panicking pool uses those that still answer something", "[views]") {
    test::ControlFixture f;
    auto& place = f.place();
    place.health.verdict = Verdict::down;
    place.health.checks = {{.good = false, .failures = 3, .no_answers = 0, .text = {}}};
    CHECK_FALSE(accepting(*f.registry, place));
    f.pool().panic.since = f.clock.now();
    CHECK(accepting(*f.registry, place));
    place.health.checks[0].no_answers = 1;
    CHECK_FALSE(accepting(*f.registry, place));
    place.health.checks[0].no_answers = 0;
    place.health.exited = true;
    CHECK_FALSE(accepting(*f.registry, place));
    place.health.exited = false;
    place.fenced = true;
    CHECK_FALSE(accepting(*f.registry, place));  // never past a fence
    place.fenced = false;
    REQUIRE(f.journal->flag(place.key, {.drained = true}));
    CHECK_FALSE(accepting(*f.registry, place));
}

TEST_CASE("a view shows configuration, assignment and what control decided", "[views]") {
    auto config = test::wikiConfig();
    auto& pool = config.pools.at("wiki");
    pool.backends[0].weight = 7;
    pool.backends[0].max_connections = 11;
    pool.balance = conf::Balance::round_robin;
    pool.hold.requests = 5;
    test::ControlFixture f(config);
    REQUIRE(f.journal->assign(f.place().key, {"spare-1", 4, "r1", ""}));
    f.place().ramp_from = f.clock.now();
    f.place().ramp = 10s;
    f.place("wiki-2").release_per_second = 50;
    f.place("wiki-2").health.verdict = Verdict::down;
    ListenerState listener;
    listener.slot = 3;
    listener.conf.trusted_proxies = {"10.0.0.0/8"};
    f.registry->listeners().push_back(listener);
    const auto view = buildView(*f.registry);
    CHECK(view->generation == 1);
    REQUIRE(view->pools.size() == 1);
    const auto& shown = view->pools[0];
    CHECK(shown.slot == f.pool().slot);
    CHECK(shown.balance == conf::Balance::round_robin);
    CHECK(shown.hold.requests == 5);
    CHECK(shown.release_per_second == 50);
    CHECK(shown.stats == f.pool().stats);
    REQUIRE(shown.backends.size() == 2);
    const auto& first = shown.backends[0];
    CHECK(first.name == "wiki-1");
    CHECK(first.address == Address::loopback(8003));  // of the server that fills it
    CHECK(first.epoch == 4);
    CHECK(first.accepting);
    CHECK(first.weight == 7);
    CHECK(first.max_connections == 11);
    CHECK(first.ramp == 10s);
    CHECK(first.ramp_from == f.clock.now());
    CHECK(first.slot == f.place().slot);
    CHECK_FALSE(shown.backends[1].accepting);
    CHECK(view->listeners.at(0).slot == 3);
    CHECK(view->listeners.at(0).trusted_proxies.size() == 1);
}

TEST_CASE("however much changes in a turn, one view is published, of the end of it", "[views]") {
    test::ControlFixture f;
    test::ControlLoop control;
    std::vector<std::shared_ptr<const View>> published;
    std::optional<ViewPublisher> views;
    views.emplace(control.loop(), *f.registry, [&](auto view, auto acknowledged) {
        published.push_back(std::move(view));
        acknowledged();
    });
    views->changed();
    views->changed();
    f.place().fenced = true;
    CHECK(published.empty());
    REQUIRE(control.until([&] { return !published.empty(); }));
    CHECK(published.size() == 1);
    CHECK_FALSE(published[0]->pools[0].backends[0].accepting);
    bool acknowledged = false;
    views->changed();
    views->publishNow([&] { acknowledged = true; });
    CHECK(acknowledged);
    bool later = false;
    control.loop().post([&] { later = true; });
    REQUIRE(control.until([&] { return later; }));
    CHECK(published.size() == 2);  // what changed was in it
    views->changed();
    views.reset();  // what is posted finds nobody
    later = false;
    control.loop().post([&] { later = true; });
    REQUIRE(control.until([&] { return later; }));
    CHECK(published.size() == 2);
}
