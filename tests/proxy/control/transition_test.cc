#include <catch2/catch.hpp>

#include "proxy/control/recovery_driver.h"
#include "tests/support/control_fixture.h"
#include "tests/support/sim_driver.h"

using namespace regrow;
using namespace regrow::control;
using namespace std::chrono_literals;
using recovery::Action;
using recovery::ServerState;
using recovery::State;

namespace {

// Leads a real recovery of wiki-1 and journals each transition as the driver does.
struct Leading {
    test::ControlFixture f;
    test::Driver d;
    std::vector<recovery::Transition> all;

    Leading() {
        d.c.restart_allowed = false;
        d.s = recovery::begin("r1", "wiki", "wiki-1", "wiki-1", 3, f.clock.now());
        REQUIRE(f.journal->assign(f.place().key, {"wiki-1", 3, "l0", "h"}));
    }
    recovery::Transition send(recovery::EventBody body, uint32_t step = 0) {
        const auto before = d.s;
        const auto result = recovery::step(d.s, {std::move(body), step}, d.c, f.clock.now());
        auto made = transitionOf(*f.registry, f.place(), before, result, f.clock.now());
        if (const auto written = f.journal->transition(made); !written)
            FAIL(written.error().message);
        d.s = result.state;
        f.place().recovery = d.s;
        all.push_back(made);
        return made;
    }
    recovery::Transition answer(Action action, recovery::EventBody body) {
        const auto pending = std::ranges::find(d.s.pending, action, &recovery::Pending::action);
        REQUIRE(pending != d.s.pending.end());
        return send(std::move(body), pending->step);
    }
    recovery::Transition dies() {
        return send(recovery::BackendDied{.kind = recovery::EvidenceKind::process_exit,
                                          .text = "killed",
                                          .proof = true,
                                          .server = d.s.old_server,
                                          .died_at = f.clock.now(),
                                          .died_wall = f.clock.wallNow()});
    }
    recovery::Transition replacementDies() {
        return send(recovery::BackendDied{.kind = recovery::EvidenceKind::process_exit,
                                          .text = "killed",
                                          .proof = true,
                                          .server = d.s.spare,
                                          .died_at = f.clock.now(),
                                          .died_wall = f.clock.wallNow()});
    }
    void fenceIt() {
        answer(Action::persist_epoch, recovery::EpochDurable{});
        answer(Action::publish_fenced, recovery::WorkersAcknowledged{});
        answer(Action::stop_old, recovery::ProcessesGone{false, "gone"});
    }
    void chooseIt(const std::string& spare) {
        answer(Action::claim_spare, recovery::SpareClaimed{spare});
        answer(Action::list_snapshots, recovery::SnapshotsListed{{d.snapshot(1)}});
        answer(Action::pin_snapshot, recovery::SnapshotPinned{});
    }
    void restoreIt() {
        answer(Action::restore, recovery::RestoreDone{1000});
        answer(Action::verify_tree, recovery::TreeVerified{"abc"});
        answer(Action::activate, recovery::Activated{});
        answer(Action::start_service, recovery::ServiceStarted{});
    }
    recovery::ServerRecord record(const std::string& server) const {
        return f.registry->serverRecord(*f.registry->pool("wiki"), server);
    }
    recovery::Assignment assigned() { return f.registry->assignment(f.place()); }
    size_t budgetsSpent() const {
        return static_cast<size_t>(
            std::ranges::count_if(all, [](const auto& t) { return t.budget.has_value(); }));
    }
};

}  // namespace

TEST_CASE("the budget is spent once, when the gate is passed", "[transition]") {
    Leading l;
    const auto first = l.dies();
    REQUIRE(l.d.s.state == State::fence);
    REQUIRE(first.budget);
    CHECK(first.budget->spent.size() == 1);
    CHECK(first.budget->spent.front() == l.f.clock.now());
    l.fenceIt();
    l.chooseIt("spare-1");
    l.restoreIt();
    l.answer(Action::watch_checks, recovery::ChecksGood{});
    CHECK(l.budgetsSpent() == 1);
    CHECK(l.f.journal->saved().budgets.at("wiki").spent.size() == 1);
}

TEST_CASE("a recovery held at the gate spends nothing until it passes", "[transition]") {
    Leading l;
    l.d.c.paused = true;
    l.dies();
    REQUIRE(l.d.s.state == State::held);
    l.f.clock.advance(5s);
    l.send(recovery::GateChanged{});
    CHECK(l.budgetsSpent() == 0);
    l.d.c.paused = false;
    l.send(recovery::GateChanged{});
    REQUIRE(l.d.s.state == State::fence);
    CHECK(l.budgetsSpent() == 1);
}

TEST_CASE("what was spent longer ago than the budget counts is forgotten when it is written",
          "[transition]") {
    Leading l;
    recovery::Budget old;
    old.spend(l.f.clock.now());
    REQUIRE(l.f.journal->budget("wiki", old));
    l.f.clock.advance(2h);
    const auto t = l.dies();
    REQUIRE(t.budget);
    CHECK(t.budget->spent.size() == 1);
}

TEST_CASE("a warming replacement that dies spends no second budget", "[transition]") {
    Leading l;
    l.dies();
    l.fenceIt();
    l.chooseIt("spare-1");
    l.restoreIt();
    l.answer(Action::watch_checks, recovery::ChecksGood{});
    REQUIRE(l.d.s.state == State::warm);
    const auto t = l.replacementDies();
    REQUIRE(l.d.s.state == State::fence);
    CHECK(l.budgetsSpent() == 1);
    CHECK(l.record("spare-1").state == ServerState::quarantined);
    REQUIRE(t.assignment);
    CHECK(t.assignment->server.empty());
    CHECK(t.assignment->epoch > 4);
}

TEST_CASE("the assignment is cleared with the epoch and set with the publication", "[transition]") {
    Leading l;
    const auto died = l.dies();
    REQUIRE(died.assignment);  // the fence asks for the epoch at once
    CHECK(died.assignment->server.empty());
    CHECK(died.assignment->epoch == 4);
    CHECK(died.assignment->lineage == "l0");
    CHECK_FALSE(l.f.registry->filling(l.f.place()));
    CHECK(l.record("wiki-1").state != ServerState::free);  // never its own replacement
    l.fenceIt();
    l.chooseIt("spare-1");
    l.restoreIt();
    CHECK(l.assigned().server.empty());
    const auto serving = l.answer(Action::watch_checks, recovery::ChecksGood{});
    REQUIRE(serving.assignment);
    CHECK(l.assigned().server == "spare-1");
    CHECK(l.assigned().epoch == 4);
    CHECK(l.assigned().lineage == l.d.s.lineage);
    CHECK(l.assigned().config_hash == configHash(test::server("spare-1", 8003)));
    size_t assignments = 0;
    for (const auto& t : l.all) assignments += t.assignment ? 1 : 0;
    CHECK(assignments == 2);
}

TEST_CASE("a spare is claimed in the record that names it, and used in the one that publishes it",
          "[transition]") {
    Leading l;
    l.dies();
    l.fenceIt();
    const auto claim = l.answer(Action::claim_spare, recovery::SpareClaimed{"spare-1"});
    CHECK(claim.state.spare == "spare-1");
    REQUIRE(claim.servers.size() == 1);
    CHECK(claim.servers[0].first == "spare-1");
    CHECK(l.record("spare-1").state == ServerState::claimed);
    CHECK(l.record("spare-1").claimed_by == "r1");
    l.answer(Action::list_snapshots, recovery::SnapshotsListed{{l.d.snapshot(1)}});
    l.answer(Action::pin_snapshot, recovery::SnapshotPinned{});
    l.restoreIt();
    const auto serving = l.answer(Action::watch_checks, recovery::ChecksGood{});
    CHECK(l.record("spare-1").state == ServerState::in_use);
    CHECK(l.record("wiki-1").state == ServerState::quarantined);
    CHECK(serving.servers.size() == 2);
    l.f.restart();
    CHECK(l.record("spare-1").state == ServerState::in_use);
    CHECK(l.assigned().server == "spare-1");
}

TEST_CASE("a spare that was not written to is given back, one that was is dirty", "[transition]") {
    Leading l;
    l.dies();
    l.fenceIt();
    l.answer(Action::claim_spare, recovery::SpareClaimed{"spare-1"});
    SECTION("before the restore") {
        l.send(recovery::Cancel{"me"});
        CHECK(l.record("spare-1").state == ServerState::free);
    }
    SECTION("during the restore") {
        l.answer(Action::list_snapshots, recovery::SnapshotsListed{{l.d.snapshot(1)}});
        l.answer(Action::pin_snapshot, recovery::SnapshotPinned{});
        l.send(recovery::Cancel{"me"});
        CHECK(l.record("spare-1").state == ServerState::dirty);
    }
    SECTION("lost during the restore") {
        l.answer(Action::list_snapshots, recovery::SnapshotsListed{{l.d.snapshot(1)}});
        l.answer(Action::pin_snapshot, recovery::SnapshotPinned{});
        l.send(recovery::SpareLost{"spare-1", "no route"});
        CHECK(l.record("spare-1").state == ServerState::lost);
        CHECK(l.d.s.spare != "spare-1");
    }
}

TEST_CASE("a spare of another recovery is not taken", "[transition]") {
    Leading l;
    REQUIRE(l.f.journal->server({"wiki", "spare-1"}, {ServerState::claimed, "", "other"}));
    l.dies();
    l.fenceIt();
    const auto claim = l.answer(Action::claim_spare, recovery::SpareClaimed{"spare-1"});
    CHECK(claim.servers.empty());
    CHECK(l.record("spare-1").claimed_by == "other");
}

TEST_CASE("one step may give a spare back and claim it anew: one record each, in order",
          "[transition]") {
    Leading l;
    REQUIRE(l.f.journal->server({"wiki", "spare-1"}, {ServerState::claimed, "", "r1"}));
    recovery::StepResult result;
    result.state = l.d.s;
    result.state.spare = "spare-2";
    recovery::Command soil;
    soil.action = Action::mark_spare_dirty;
    soil.spare = "spare-1";
    soil.text = "half a copy";
    result.commands.push_back(soil);
    auto before = l.d.s;
    before.spare = "spare-1";
    const auto t = transitionOf(*l.f.registry, l.f.place(), before, result, l.f.clock.now());
    REQUIRE(t.servers.size() == 2);
    CHECK(t.servers[0].second.state == ServerState::dirty);
    CHECK(t.servers[0].second.reason == "half a copy");
    CHECK(t.servers[1].first == "spare-2");
    CHECK(t.servers[1].second.claimed_by == "r1");
}

TEST_CASE("the old server gets its place back under the new epoch", "[transition]") {
    Leading l;
    l.dies();
    l.answer(Action::persist_epoch, recovery::EpochDurable{});
    recovery::StepResult result;
    result.state = l.d.s;
    recovery::Command reinstate;
    reinstate.action = Action::reinstate_old;
    reinstate.epoch = 6;
    reinstate.old_server = "wiki-1";
    result.commands.push_back(reinstate);
    const auto t = transitionOf(*l.f.registry, l.f.place(), l.d.s, result, l.f.clock.now());
    REQUIRE(t.assignment);
    CHECK(t.assignment->server == "wiki-1");
    CHECK(t.assignment->epoch == 6);
    CHECK(t.assignment->lineage == "l0");  // its data is what it was
    CHECK(t.assignment->config_hash == configHash(test::server("wiki-1", 8001)));
}

TEST_CASE("restarts in place and deaths after recoveries are remembered", "[transition]") {
    Leading l;
    l.d.c.restart_allowed = true;
    const auto t = l.dies();
    REQUIRE(l.d.s.restarted);
    REQUIRE(t.flap);
    CHECK(t.flap->restarts.size() == 1);
    CHECK_FALSE(t.flap->hold_until);
    CHECK_FALSE(t.budget);
    CHECK(l.f.journal->saved().flaps.at(l.f.place().key).restarts.size() == 1);
}

TEST_CASE("a death soon after a recovery starts the hold-down, asked for or later it does not",
          "[transition]") {
    Leading l;
    recovery::FlapHistory history;
    history.recoveredAt(l.f.clock.now());
    REQUIRE(l.f.journal->flap(l.f.place().key, history));
    SECTION("soon") {
        l.f.clock.advance(1min);
        const auto t = l.dies();
        REQUIRE(t.flap);
        CHECK(t.flap->heldUntil(l.f.clock.now()));
    }
    SECTION("later") {
        l.f.clock.advance(1h);
        CHECK_FALSE(l.dies().flap);
    }
    SECTION("an operator's request is no death") {
        l.f.clock.advance(1min);
        CHECK_FALSE(l.send(recovery::Requested{"me", ""}).flap);
    }
}
