#include "proxy/control/status_builder.h"

#include <catch2/catch.hpp>

#include "proxy/recovery/machine.h"
#include "tests/support/control_fixture.h"

using namespace regrow;
using namespace regrow::control;
using namespace std::chrono_literals;
using health::Verdict;
using recovery::State;

namespace {

struct Showing {
    test::ControlFixture f;
    EventLoop loop;
    EventLog events{f.clock};
    ViewPublisher views{loop, *f.registry, [](auto, auto) {}};
    HealthMonitor health{loop, *f.registry, events, views};
    recovery::LocalSteps steps{loop};
    Backups backups{loop, *f.registry, steps, events};
    Counters counters;
    LatencyWindow latencies;

    explicit Showing(const conf::Config& config = test::wikiConfig()) : f(config) {}

    Status status() {
        return buildStatus({*f.registry, counters, latencies, health, backups, nullptr,
                            f.clock.now(), f.clock.now() - 90s, false});
    }
    PoolStatus pool() { return status().pools.at("wiki"); }
    void recovering(State state) {
        f.place().recovery = recovery::begin("r1", "wiki", "wiki-1", "wiki-1", 3, f.clock.now());
        f.place().recovery->state = state;
    }
    std::string state() { return backendState(*f.registry, f.place()); }
};

}  // namespace

TEST_CASE("a backend's state is the strongest thing that is true of it", "[status]") {
    Showing s;
    auto& place = s.f.place();
    CHECK(s.state() == "up");
    place.health.verdict = Verdict::suspect;
    CHECK(s.state() == "suspect");
    place.health.verdict = Verdict::down;
    CHECK(s.state() == "down");
    place.health.starting = true;
    CHECK(s.state() == "starting");
    place.health.verdict = Verdict::up;
    CHECK(s.state() == "up");
    place.starting = true;
    CHECK(s.state() == "starting");
    REQUIRE(s.f.journal->assign(place.key, {"", 4, "", ""}));
    CHECK(s.state() == "down");
    REQUIRE(s.f.journal->flag(place.key, {.drained = true}));
    CHECK(s.state() == "draining");
    for (const auto state :
         {State::fence, State::choose, State::restore, State::verify, State::start}) {
        s.recovering(state);
        CHECK(s.state() == "restoring");
    }
    s.recovering(State::warm);
    CHECK(s.state() == "warming");
    s.recovering(State::suspect);
    CHECK(s.state() == "draining");
    s.recovering(State::held);
    CHECK(s.state() == "draining");  // at the gate: its server is still there
    place.fenced = true;
    CHECK(s.state() == "restoring");
    REQUIRE(s.f.journal->flag(place.key, {.drained = true, .maintenance = true}));
    CHECK(s.state() == "maintenance");
}

TEST_CASE("a pool is down, degraded or up by who accepts", "[status]") {
    Showing s;
    CHECK(s.pool().state == "up");
    s.f.place().health.verdict = Verdict::down;
    CHECK(s.pool().state == "degraded");
    s.f.place("wiki-2").fenced = true;
    CHECK(s.pool().state == "down");
}

TEST_CASE("counters, server, address and reason of a backend are shown", "[status]") {
    Showing s;
    auto& place = s.f.place();
    REQUIRE(s.f.journal->assign(place.key, {"spare-1", 4, "r1", ""}));
    place.stats->shards[0].requests.add(5);
    place.stats->shards[1].resets.add(2);
    place.stats->shards[1].status_5xx.add(1);
    place.stats->shards[0].in_flight.add(3);
    place.health_reason = "3 checks failed in a row";
    s.f.pool().stats->waiting = 7;
    const auto pool = s.pool();
    const auto& backend = pool.backends.at(0);
    CHECK(backend.name == "wiki-1");
    CHECK(backend.server == "spare-1");
    CHECK(backend.address == "127.0.0.1:8003");
    CHECK(backend.epoch == 4);
    CHECK(backend.requests == 5);
    CHECK(backend.errors == 3);
    CHECK(backend.in_flight == 3);
    CHECK(backend.reason == "3 checks failed in a row");
    CHECK(pool.held == 7);
    CHECK(s.status().uptime_s == 90);
    CHECK(s.status().generation == 1);
    CHECK_FALSE(pool.backup);
}

TEST_CASE("spares are those of the file and whoever was replaced", "[status]") {
    Showing s;
    REQUIRE(s.f.journal->assign(s.f.place().key, {"spare-1", 4, "r1", ""}));
    REQUIRE(s.f.journal->server({"wiki", "wiki-1"},
                                {recovery::ServerState::quarantined, "replaced", ""}));
    const auto spares = s.pool().spares;
    REQUIRE(spares.size() == 3);
    CHECK(spares[0].name == "spare-1");
    CHECK(spares[0].state == "in_use");
    CHECK(spares[1].state == "free");
    CHECK(spares[2].name == "wiki-1");
    CHECK(spares[2].state == "quarantined");
    CHECK(spares[2].reason == "replaced");
}

TEST_CASE("a recovery under way is shown with progress and why it is held", "[status]") {
    Showing s;
    s.recovering(State::restore);
    auto& state = *s.f.place().recovery;
    state.spare = "spare-1";
    state.done_bytes = 25;
    state.total_bytes = 100;
    state.reason = "copying";
    auto shown = s.pool().active.at(0);
    CHECK(shown.id == "r1");
    CHECK(shown.state == "restore");
    CHECK(shown.spare == "spare-1");
    CHECK(shown.progress == 0.25);
    CHECK(shown.reason == "copying");
    CHECK(s.pool().backends.at(0).reason == "copying");
    state.state = State::held;
    state.held = recovery::HeldReason::no_spare;
    CHECK(s.pool().active.at(0).state == "held(no_spare)");
    CHECK(s.pool().active.at(0).held == "no_spare");
    state.state = State::verify;
    CHECK(s.pool().active.at(0).progress == 1);
    state.state = State::failed;
    state.done_bytes = 0;
    CHECK(s.pool().active.at(0).progress == 0);
}

TEST_CASE("past recoveries and the time they took are shown", "[status]") {
    auto config = test::wikiConfig();
    config.pools.at("wiki").backup.on = true;
    Showing s(config);
    const auto& key = s.f.place().key;
    recovery::PastRecovery past;
    past.id = "r1";
    past.backend = "wiki-1";
    past.from = "wiki-1";
    past.to = "spare-1";
    past.result = "done";
    past.down_s = 4.5;
    past.steps = {{State::fence, 20ms}};
    REQUIRE(s.f.journal->endRecovery(key, past, {}, {}));
    past.id = "r2";
    past.result = "failed";
    past.down_s = 100;
    REQUIRE(s.f.journal->endRecovery(key, past, {}, {}));
    const auto pool = s.pool();
    REQUIRE(pool.recoveries.size() == 2);
    CHECK(pool.recoveries[0].to == "spare-1");
    CHECK(pool.recoveries[0].steps.at(0).step == "fence");
    CHECK(pool.recoveries[0].steps.at(0).took_ms == 20);
    REQUIRE(pool.backup);
    CHECK(pool.backup->rto_estimate_s == 4.5);  // of the last that succeeded
    CHECK(pool.recovery_results == std::map<std::string, uint64_t>{{"done", 1}, {"failed", 1}});
}

TEST_CASE("the RPO is the worst place's, and unknown while one is not covered", "[status]") {
    auto config = test::wikiConfig();
    config.pools.at("wiki").backup.on = true;
    Showing s(config);
    s.f.place().last_captured = Wall::now() - 10s;
    CHECK_FALSE(s.pool().backup->rpo_s);
    s.f.place("wiki-2").last_captured = Wall::now() - 100s;
    recovery::SnapshotInfo snapshot;
    snapshot.id = "abc";
    snapshot.name = "wiki/wiki-1";
    snapshot.proven = true;
    snapshot.suspicious = true;
    s.f.place().snapshots = {snapshot};
    const auto backup = *s.pool().backup;
    REQUIRE(backup.rpo_s);
    CHECK(*backup.rpo_s >= 100);
    CHECK(backup.snapshots == 1);
    CHECK(backup.latest->id == "abc");
    CHECK(backup.latest->verified);
    CHECK(backup.latest->suspicious);
    CHECK_FALSE(backup.latest->incomplete);
}

TEST_CASE("a backend that waits for its repository says so", "[status]") {
    auto config = test::wikiConfig();
    auto& pool = config.pools.at("wiki");
    pool.backup.on = true;
    pool.backup.repositories = {"main"};
    Showing s(config);
    auto& place = s.f.place();
    place.health = {};
    place.health.starting = true;
    place.health.verdict = Verdict::down;
    place.health_reason.clear();
    REQUIRE(s.state() == "starting");
    CHECK(s.pool().backends.at(0).reason == "waits until repository main has been read");
    place.listed = true;
    CHECK(s.pool().backends.at(0).reason.empty());
}
