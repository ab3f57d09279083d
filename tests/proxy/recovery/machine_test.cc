#include "proxy/recovery/machine.h"

#include <catch2/catch.hpp>
#include <functional>

#include "proxy/recovery/table.h"
#include "tests/support/sim_driver.h"

using namespace regrow;
using namespace regrow::recovery;
using namespace std::chrono_literals;
using test::Driver;

namespace {

template <size_t i = 0, class F>
void eachEvent(F&& f) {
    if constexpr (i < kEvents) {
        f(EventBody(std::in_place_index<i>));
        eachEvent<i + 1>(f);
    }
}

bool final(State s) {
    return terminal(s) && s != State::steady;
}

}  // namespace

TEST_CASE("every state takes every event, by a handler or by ignoring it on purpose") {
    for (size_t state = 0; state < kStates; state++)
        eachEvent([&](const EventBody& event) {
            INFO(name(static_cast<State>(state)) << " x " << eventName(event));
            CHECK(table().at(static_cast<State>(state), event) != nullptr);
        });
}

TEST_CASE("every state that is not final has a way out, and final ones have none") {
    for (size_t i = 0; i < kStates; i++) {
        const auto state = static_cast<State>(i);
        size_t handled = 0;
        eachEvent([&](const EventBody& event) {
            handled += table().at(state, event) != &ignore ? 1 : 0;
        });
        INFO(name(state));
        CHECK((handled == 0) == final(state));
        if (state == State::steady || final(state)) continue;
        CHECK(table().at(state, Tick{}) != &ignore);
        CHECK(table().at(state, Cancel{}) != &ignore);
    }
}

TEST_CASE("every state waits with a deadline") {
    for (const State state : {State::fence, State::choose, State::restore, State::verify,
                              State::start, State::warm, State::protect}) {
        Driver d;
        d.leadTo(state);
        INFO(name(state));
        REQUIRE(d.s.state == state);
        CHECK(d.s.deadline.has_value());
        CHECK(wakeAt(d.s).has_value());
    }
}

TEST_CASE("a lost host comes back on the spare from the newest proven snapshot") {
    Driver d;
    d.dies();
    CHECK(d.wants(Action::restart_in_place));
    d.answer(Action::restart_in_place,
             RestartInPlaceResult{RestartInPlaceResult::Outcome::touched, "marker is gone"});
    CHECK(d.s.state == State::fence);
    CHECK(d.s.epoch == 4);
    // The epoch is durable before anything else happens.
    CHECK(d.asked.size() == 1);
    CHECK(d.wants(Action::persist_epoch));
    d.fenceIt(false);
    CHECK(d.count(Action::rescue) == 0);
    d.chooseIt();
    REQUIRE(d.s.snapshot);
    CHECK(d.s.snapshot->id == "s3");
    CHECK(d.wants(Action::restore));
    CHECK(d.asked.back().spare == "spare");
    d.clock.advance(2s);
    d.restoreIt();
    d.verifyIt();
    CHECK(d.wants(Action::start_service));
    CHECK(d.count(Action::publish_serving) == 0);
    d.startIt();
    CHECK(d.wants(Action::publish_serving));
    CHECK(d.wants(Action::quarantine_old));
    d.warmIt();
    CHECK(d.s.state == State::protect);
    d.answer(Action::take_first_snapshot, SnapshotTaken{d.snapshot(4)});
    CHECK(d.s.state == State::done);
    CHECK(d.wants(Action::end_recovery));
    CHECK(d.s.lost_s == 97);
    CHECK(downSeconds(d.s, d.clock.now()) == 2);
    CHECK(resultName(d.s) == "done");
}

TEST_CASE("a crash whose disk is intact loses nothing: restarted in place, once") {
    Driver d;
    d.dies();
    d.answer(Action::restart_in_place,
             RestartInPlaceResult{RestartInPlaceResult::Outcome::started, ""});
    CHECK(d.s.state == State::suspect);
    SECTION("its checks become good") {
        d.send(Recovered{});
        CHECK(d.s.state == State::steady);
        CHECK(resultName(d.s) == "recovered");
        CHECK(d.wants(Action::end_recovery));
    }
    SECTION("it dies again: no second try") {
        d.dies();
        CHECK(d.s.state == State::fence);
        CHECK(d.count(Action::restart_in_place) == 1);
    }
    SECTION("its checks never become good") {
        d.wait(10s);
        CHECK(d.s.state == State::fence);
    }
}

TEST_CASE("a rescue snapshot is the first candidate, and the loss is nothing") {
    Driver d;
    d.c.restart_allowed = false;
    d.dies();
    d.fenceIt(true);
    REQUIRE(d.wants(Action::rescue));
    auto rescued = d.snapshot(9);
    rescued.rescue = true;
    SECTION("it is taken") {
        d.answer(Action::rescue, RescueDone{rescued});
        d.answer(Action::claim_spare, SpareClaimed{"spare"});
        REQUIRE(d.s.snapshot);
        CHECK(d.s.snapshot->id == "s9");
        d.answer(Action::pin_snapshot, SnapshotPinned{});
        d.restoreIt();
        SECTION("and serves") {
            d.verifyIt();
            d.startIt();
            CHECK(d.s.lost_s == 0);
        }
        SECTION("but does not verify: the newest proven one is next, and the loss is stated") {
            d.answer(Action::verify_tree, VerifyFailed{"database disk image is malformed", false});
            d.answer(Action::list_snapshots,
                     SnapshotsListed{{d.snapshot(1), d.snapshot(3), rescued}});
            REQUIRE(d.s.snapshot);
            CHECK(d.s.snapshot->id == "s3");
            CHECK(d.count(Action::claim_spare) == 1);
            d.answer(Action::pin_snapshot, SnapshotPinned{});
            d.restoreIt();
            d.verifyIt();
            d.startIt();
            CHECK(d.s.lost_s == 97);
        }
    }
    SECTION("it makes progress, but not for ever") {
        for (uint64_t i = 1; i <= 10; i++) {
            d.clock.advance(3s);
            d.answer(Action::rescue, RescueProgress{i});
            d.send(Tick{});
        }
        CHECK(d.s.state == State::choose);
    }
    SECTION("it is silent") {
        d.wait(5s);
        CHECK(d.s.state == State::choose);
        CHECK(d.count(Action::abort_step) == 1);
    }
}

TEST_CASE("suspicion alone moves no server") {
    Driver d;
    d.dies(false);
    CHECK(d.s.state == State::suspect);
    CHECK(d.asked.empty());
    SECTION("unconfirmed for 10 s: out of traffic, and people are told") {
        d.wait(10s);
        CHECK(d.s.state == State::steady);
        CHECK(resultName(d.s) == "ejected");
        CHECK(d.wants(Action::notify));
    }
    SECTION("traffic says so too") {
        d.send(BackendDied{.kind = EvidenceKind::traffic, .text = "refused", .server = "wiki-1"});
        CHECK(d.s.state == State::fence);
    }
    SECTION("more of the same kind is no second witness") {
        d.dies(false);
        CHECK(d.s.state == State::suspect);
    }
    SECTION("without traffic one kind is enough, for twice as long") {
        d.c.no_traffic = true;
        d.wait(2s);
        CHECK(d.s.state == State::suspect);
        d.wait(1s);
        CHECK(d.s.state == State::fence);
    }
}

TEST_CASE("the gate says why it is shut, and opens when the reason ends") {
    Driver d;
    d.c.restart_allowed = false;
    const auto heldFor = [&](HeldReason reason) {
        d.dies();
        INFO(name(d.s.held) << ": " << d.s.reason);
        CHECK(d.s.state == State::held);
        CHECK(d.s.held == reason);
        CHECK(d.wants(Action::notify));
        CHECK(d.s.epoch == 3);
    };
    SECTION("paused") {
        d.c.paused = true;
        heldFor(HeldReason::paused);
        CHECK_FALSE(mayApprove(d.s));
        d.c.paused = false;
        d.send(GateChanged{});
        CHECK(d.s.state == State::fence);
    }
    SECTION("approval") {
        d.c.policy.mode = Mode::approve;
        heldFor(HeldReason::approval);
        CHECK(mayApprove(d.s));
        d.send(Approve{"ann"});
        CHECK(d.s.state == State::fence);
        CHECK(d.s.reason == "approved by ann");
    }
    SECTION("off") {
        d.c.policy.mode = Mode::off;
        heldFor(HeldReason::off);
        d.send(Approve{"ann"});
        CHECK(d.s.state == State::fence);
    }
    SECTION("budget, later panic") {
        d.c.budget_left = false;
        heldFor(HeldReason::budget);
        d.c.budget_left = true;
        d.c.panic = true;
        d.wait(1s);
        CHECK(d.s.held == HeldReason::panic);
    }
    SECTION("flapping") {
        d.c.flapping_until = d.clock.now() + 120s;
        heldFor(HeldReason::flapping);
        d.send(Recovered{});
        CHECK(d.s.state == State::held);
        d.c.flapping_until.reset();
        d.wait(120s);
        CHECK(d.s.state == State::steady);
    }
    SECTION("no spare, no snapshot") {
        d.c.spare = Known::no;
        heldFor(HeldReason::no_spare);
        d.c.spare = Known::yes;
        d.c.proven_snapshot = Known::no;
        d.send(GateChanged{});
        CHECK(d.s.held == HeldReason::no_snapshot);
    }
    SECTION("the repository decides, in time") {
        d.c.proven_snapshot = Known::unknown;
        d.dies();
        CHECK(d.s.state == State::decide);
        SECTION("it answers") {
            d.answer(Action::list_snapshots, SnapshotsListed{{d.snapshot(1)}});
            CHECK(d.s.state == State::fence);
        }
        SECTION("it does not") {
            d.wait(1s);
            CHECK(d.s.held == HeldReason::repository);
            d.wait(1s);
            CHECK(d.wants(Action::list_snapshots));
        }
    }
    SECTION("the backend comes back by itself") {
        d.c.paused = true;
        heldFor(HeldReason::paused);
        d.send(Recovered{});
        CHECK(d.s.state == State::steady);
    }
    SECTION("held is said again, every five minutes, however often it is looked at") {
        d.c.paused = true;
        heldFor(HeldReason::paused);
        for (int i = 0; i < 599; i++) d.wait(1s);
        CHECK(d.count(Action::notify) == 2);
    }
}

TEST_CASE("nothing goes on before the old server is fenced") {
    Driver d;
    d.leadTo(State::fence);
    d.answer(Action::persist_epoch, EpochDurable{});
    SECTION("workers always have to say so") {
        d.c.policy.unfenced_proceed = true;
        d.answer(Action::stop_old, ProcessesGone{false, ""});
        d.wait(6s);
        CHECK(d.s.held == HeldReason::unfenced);
        d.answer(Action::publish_fenced, WorkersAcknowledged{});
        CHECK(d.s.state == State::choose);
    }
    SECTION("nobody knows of the processes: hold") {
        d.answer(Action::publish_fenced, WorkersAcknowledged{});
        d.wait(6s);
        CHECK(d.s.held == HeldReason::unfenced);
        SECTION("an operator does") {
            d.send(Approve{"ann"});
            CHECK(d.s.state == State::choose);
        }
        SECTION("the late answer does") {
            d.answer(Action::stop_old, ProcessesGone{false, ""});
            CHECK(d.s.state == State::choose);
        }
        SECTION("it is tried again") {
            d.wait(1s);
            CHECK(d.wants(Action::stop_old));
        }
        SECTION("the old server is back, with its data: it is reinstated at a new epoch") {
            d.send(OldReturned{true, true, "30 s of good checks"});
            CHECK(d.s.epoch == 5);
            d.answer(Action::persist_epoch, EpochDurable{});
            d.answer(Action::reinstate_old, WorkersAcknowledged{});
            CHECK(resultName(d.s) == "reinstated");
            CHECK(d.s.lost_s == 0);
        }
    }
    SECTION("or go on, when the operator wrote so") {
        d.c.policy.unfenced_proceed = true;
        d.answer(Action::publish_fenced, WorkersAcknowledged{});
        d.wait(6s);
        CHECK(d.s.state == State::choose);
    }
}

TEST_CASE("an epoch that cannot be made durable stops everything") {
    Driver d;
    d.leadTo(State::fence);
    d.answer(Action::persist_epoch, EpochFailed{"no space left on device"});
    CHECK(d.s.held == HeldReason::journal);
    CHECK(d.count(Action::publish_fenced) == 0);
    d.wait(1s);
    CHECK(d.wants(Action::persist_epoch));
    CHECK(d.asked.front().epoch == 4);
}

TEST_CASE("epochs start above whatever was ever seen") {
    Driver d;
    d.c.epoch_floor = 41;
    d.leadTo(State::fence);
    CHECK(d.s.epoch == 42);
}

TEST_CASE("what does not restore is not tried again") {
    Driver d;
    d.leadTo(State::restore);
    const auto failed = [&](RestoreFailed::Kind kind) {
        d.answer(Action::restore, RestoreFailed{kind, "why"});
    };
    SECTION("a bad chunk: the snapshot before it, on the same spare") {
        failed(RestoreFailed::Kind::bad_chunk);
        d.answer(Action::list_snapshots,
                 SnapshotsListed{{d.snapshot(1), d.snapshot(3), d.snapshot(2)}});
        CHECK(d.s.snapshot->id == "s2");
        CHECK(d.s.spare == "spare");
    }
    SECTION("no room: another spare, the same snapshot") {
        failed(RestoreFailed::Kind::no_space);
        CHECK(d.wants(Action::mark_spare_dirty));
        d.answer(Action::claim_spare, SpareClaimed{"spare-2"});
        d.answer(Action::list_snapshots, SnapshotsListed{{d.snapshot(3)}});
        CHECK(d.s.snapshot->id == "s3");
        d.answer(Action::pin_snapshot, SnapshotPinned{});
        CHECK(d.asked.front().spare == "spare-2");
    }
    SECTION("the spare is lost, and there is no other") {
        failed(RestoreFailed::Kind::spare_lost);
        d.answer(Action::claim_spare, NoSpare{"none is free"});
        CHECK(d.s.held == HeldReason::no_spare);
        d.send(GateChanged{});
        CHECK(d.wants(Action::claim_spare));
    }
    SECTION("the repository is down: held, then resumed with the same") {
        failed(RestoreFailed::Kind::repository_down);
        CHECK(d.s.held == HeldReason::repository);
        CHECK(d.s.spare == "spare");
        d.wait(1s);
        d.answer(Action::list_snapshots, SnapshotsListed{{d.snapshot(3)}});
        d.answer(Action::pin_snapshot, SnapshotPinned{});
        CHECK(d.wants(Action::restore));
    }
    SECTION("it is down when the tree is to be verified: that says nothing of the snapshot") {
        d.restoreIt();
        d.answer(Action::verify_tree, VerifyFailed{"there is no repository", true});
        CHECK(d.s.held == HeldReason::repository);
        d.wait(1s);
        d.answer(Action::list_snapshots, SnapshotsListed{{d.snapshot(1), d.snapshot(3)}});
        CHECK(d.s.snapshot->id == "s3");
        CHECK(d.s.spare == "spare");
    }
    SECTION("no progress: tried again, where it was") {
        d.answer(Action::restore, RestoreProgress{10, 100});
        d.wait(30s);
        CHECK(d.wants(Action::abort_step));
        CHECK(d.wants(Action::restore));
        CHECK(d.s.snapshot->id == "s3");
    }
    SECTION("all are bad: held, never empty") {
        for (int i = 0; i < 3; i++) {
            failed(RestoreFailed::Kind::bad_chunk);
            d.answer(Action::list_snapshots,
                     SnapshotsListed{{d.snapshot(1), d.snapshot(3), d.snapshot(2)}});
            d.answer(Action::pin_snapshot, SnapshotPinned{});
        }
        CHECK(d.s.held == HeldReason::no_snapshot);
        CHECK(d.s.tried.size() == 3);
    }
}

TEST_CASE("answers to what is no longer wanted change nothing") {
    Driver d;
    d.leadTo(State::restore);
    const auto old = d.s.pending.front().step;
    d.wait(30s);
    const auto before = d.s;
    d.send(RestoreDone{1}, old);
    CHECK(d.s == before);
    CHECK(d.asked.empty());
}

namespace {

// All the tries of one spare, with the pauses between them; `fails` says how each ends.
void failEveryStart(Driver& d, const std::function<void()>& fails) {
    for (int i = 0; i < 3; i++) {
        fails();
        if (i == 2) return;
        d.answer(Action::stop_replacement, ReplacementStopped{});
        CHECK_FALSE(d.wants(Action::start_service));
        d.wait(i == 0 ? 499ms : 1999ms);
        CHECK_FALSE(d.wants(Action::start_service));
        d.wait(1ms);
        CHECK(d.wants(Action::start_service));
    }
}

void exitsAtOnce(Driver& d) {
    d.answer(Action::start_service, ServiceStarted{});
    d.answer(Action::watch_checks, ChecksBad{"process exited: exit 1"});
}

void listAll(Driver& d) {
    d.answer(Action::list_snapshots, SnapshotsListed{{d.snapshot(2), d.snapshot(3)}});
}

}  // namespace

TEST_CASE("a spare that cannot start its service costs no snapshot") {
    Driver d;
    d.leadTo(State::start);
    const auto cannot = [&] { d.answer(Action::start_service, StartFailed{"no such program"}); };
    SECTION("another is free: the same snapshot goes there") {
        d.c.other_spare = true;
        failEveryStart(d, cannot);
        CHECK(d.wants(Action::mark_spare_dirty));
        CHECK(d.s.tried.empty());
        d.c.other_spare = false;
        d.answer(Action::claim_spare, SpareClaimed{"spare-2"});
        listAll(d);
        CHECK(d.s.snapshot->id == "s3");
        CHECK(d.s.spare == "spare-2");
    }
    SECTION("another seemed free, but cannot be claimed: both reasons are said") {
        d.c.other_spare = true;
        failEveryStart(d, cannot);
        d.answer(Action::claim_spare, NoSpare{"spare spare-2: not empty"});
        CHECK(d.s.held == HeldReason::no_spare);
        CHECK(d.s.reason ==
              "spare spare-2: not empty; before that, spare spare: it could not be started: no "
              "such program");
    }
    SECTION("it is the only one: kept, and tried again with the same snapshot") {
        failEveryStart(d, cannot);
        CHECK(d.s.held == HeldReason::no_spare);
        CHECK(d.s.reason.find("no such program") != std::string::npos);
        CHECK(d.s.spare == "spare");
        d.send(GateChanged{});
        CHECK(d.s.state == State::held);
        d.wait(1s);
        d.answer(Action::stop_replacement, ReplacementStopped{});
        CHECK_FALSE(d.wants(Action::claim_spare));
        listAll(d);
        CHECK(d.s.snapshot->id == "s3");
        CHECK(d.s.tried.empty());
    }
    SECTION("but not for ever, and the end says why") {
        for (int i = 0; i < 12; i++) {
            failEveryStart(d, cannot);
            d.wait(30s);
            d.answer(Action::stop_replacement, ReplacementStopped{});
            listAll(d);
            d.answer(Action::pin_snapshot, SnapshotPinned{});
            if (d.s.state == State::failed) break;
            d.restoreIt();
            d.verifyIt();
        }
        CHECK(d.s.state == State::failed);
        CHECK(d.s.reason.find("no such program") != std::string::npos);
    }
}

TEST_CASE("a prepare hook that fails costs no snapshot either, and is named") {
    Driver d;
    d.c.policy.prepare_hook = true;
    d.leadTo(State::start);
    d.answer(Action::run_prepare_hook, HookFailed{"exit 1"});
    d.wait(499ms);
    CHECK_FALSE(d.wants(Action::run_prepare_hook));
    d.wait(1ms);
    CHECK(d.wants(Action::run_prepare_hook));
    d.wait(30s);  // no answer
    CHECK(d.wants(Action::abort_step));
    d.wait(2s);
    CHECK(d.wants(Action::run_prepare_hook));
    d.answer(Action::run_prepare_hook, HookFailed{"exit 1"});
    CHECK(d.s.held == HeldReason::no_spare);
    CHECK(d.s.reason.find("the prepare hook failed: exit 1") != std::string::npos);
    CHECK(d.s.tried.empty());
    CHECK(d.count(Action::start_service) == 0);
}

TEST_CASE("once it succeeded, the prepare hook is not run again for the next start") {
    Driver d;
    d.c.policy.prepare_hook = true;
    d.leadTo(State::start);
    d.answer(Action::run_prepare_hook, HookDone{});
    failEveryStart(d, [&] { exitsAtOnce(d); });
    CHECK(d.count(Action::run_prepare_hook) == 1);
    CHECK(d.s.state == State::choose);
}

TEST_CASE("a service that started and did not get well may be the snapshot's fault") {
    Driver d;
    d.leadTo(State::start);
    SECTION("no other spare: the snapshot before it") {
        failEveryStart(d, [&] { exitsAtOnce(d); });
        CHECK(d.s.state == State::choose);
        // Nothing is restored under a process that may still run.
        CHECK(d.asked.size() == 1);
        CHECK(d.wants(Action::stop_replacement));
        d.answer(Action::stop_replacement, ReplacementStopped{});
        listAll(d);
        CHECK(d.s.snapshot->id == "s2");
        CHECK(d.s.spare == "spare");
    }
    SECTION("its checks stay bad until the deadline") {
        failEveryStart(d, [&] {
            d.answer(Action::start_service, ServiceStarted{});
            d.wait(30s);
        });
        CHECK(d.s.tried == std::vector<std::string>{"s3"});
    }
    SECTION("another spare: the same snapshot there first, and only then the one before it") {
        d.c.other_spare = true;
        failEveryStart(d, [&] { exitsAtOnce(d); });
        CHECK(d.wants(Action::mark_spare_dirty));
        CHECK(d.s.tried.empty());
        d.answer(Action::claim_spare, SpareClaimed{"spare-2"});
        listAll(d);
        CHECK(d.s.snapshot->id == "s3");
        d.answer(Action::pin_snapshot, SnapshotPinned{});
        d.restoreIt();
        d.verifyIt();
        failEveryStart(d, [&] { exitsAtOnce(d); });
        CHECK(d.s.tried == std::vector<std::string>{"s3"});
        CHECK(d.s.spare == "spare-2");
    }
}

TEST_CASE("a snapshot that cannot be pinned for a moment is not given up") {
    Driver d;
    d.leadTo(State::choose);
    d.answer(Action::claim_spare, SpareClaimed{"spare"});
    for (int i = 0; i < 3; i++) {
        listAll(d);
        CHECK(d.s.snapshot->id == "s3");
        d.answer(Action::pin_snapshot, PinFailed{"no answer"});
        if (i == 2) break;
        CHECK(d.s.held == HeldReason::repository);
        d.wait(4s);
    }
    CHECK(d.s.tried == std::vector<std::string>{"s3"});
}

TEST_CASE("a rescue that the repository did not answer for comes first when it does") {
    Driver d;
    d.c.restart_allowed = false;
    d.dies();
    d.fenceIt(true);
    const auto away = [&] {
        d.answer(Action::rescue, RescueFailed{"no such directory", true});
        d.answer(Action::claim_spare, SpareClaimed{"spare"});
        d.answer(Action::list_snapshots, RepositoryDown{"no such directory"});
        CHECK(d.s.held == HeldReason::repository);
    };
    auto rescued = d.snapshot(9);
    SECTION("it is back") {
        away();
        d.wait(1s);
        listAll(d);
        CHECK(d.s.state == State::fence);
        CHECK(d.wants(Action::rescue));
        SECTION("and takes it") {
            d.answer(Action::rescue, RescueDone{rescued});
            CHECK(d.s.snapshot->id == "s9");
            CHECK(d.s.spare == "spare");
        }
        SECTION("but the data is not as it was: the newest snapshot, and no third try") {
            d.answer(Action::rescue, RescueFailed{"files vanished"});
            listAll(d);
            CHECK(d.s.snapshot->id == "s3");
        }
        SECTION("but says nothing: the newest snapshot") {
            d.wait(5s);
            listAll(d);
            CHECK(d.s.snapshot->id == "s3");
        }
    }
    SECTION("the rescue was silent, then the listing failed") {
        d.wait(5s);
        d.answer(Action::claim_spare, SpareClaimed{"spare"});
        d.wait(5s);
        CHECK(d.s.held == HeldReason::repository);
        d.wait(1s);
        listAll(d);
        CHECK(d.wants(Action::rescue));
    }
    SECTION("it answers listings but takes nothing: three tries") {
        d.answer(Action::claim_spare, SpareClaimed{"spare"});
        for (int i = 0; i < 3; i++) {
            d.answer(Action::rescue, RescueFailed{"read-only", true});
            d.answer(Action::claim_spare, SpareClaimed{"spare"});
            listAll(d);
        }
        CHECK(d.s.snapshot->id == "s3");
        CHECK(d.count(Action::rescue) == 3);
    }
}

TEST_CASE("a recovery given up after the fence leaves the old server in quarantine") {
    Driver d;
    SECTION("cancelled") {
        d.leadTo(State::restore);
        d.send(Cancel{"ann"});
        CHECK(d.wants(Action::quarantine_old));
    }
    SECTION("cancelled while a replacement has to be stopped first") {
        d.leadTo(State::start);
        d.send(Cancel{"ann"});
        d.answer(Action::stop_replacement, ReplacementStopped{});
        CHECK(d.s.state == State::cancelled);
        CHECK(d.wants(Action::quarantine_old));
    }
    SECTION("not before the fence: it fills the place") {
        d.c.paused = true;
        d.dies();
        d.send(Cancel{"ann"});
        CHECK(d.s.state == State::cancelled);
        CHECK_FALSE(d.wants(Action::quarantine_old));
    }
}

TEST_CASE("a replacement that dies while warming is fenced before another is chosen") {
    Driver d;
    d.leadTo(State::warm);
    d.answer(Action::publish_serving, WorkersAcknowledged{});
    d.answer(Action::watch_checks, ChecksBad{"exit 1"});
    CHECK(d.s.state == State::fence);
    CHECK(d.s.old_server == "spare");
    CHECK(d.s.epoch == 5);
    CHECK(d.s.from == "wiki-1");
    d.fenceIt(true);
    CHECK(d.wants(Action::rescue));
}

TEST_CASE("unprotected is said, and ends when the first snapshot is proven") {
    Driver d;
    d.leadTo(State::protect);
    d.answer(Action::take_first_snapshot, SnapshotFailed{"repository is full"});
    CHECK(d.s.state == State::protect);
    d.wait(5s);
    CHECK(d.wants(Action::take_first_snapshot));
    SECTION("proven") {
        d.answer(Action::take_first_snapshot, SnapshotTaken{d.snapshot(4)});
        CHECK(d.s.state == State::done);
        CHECK_FALSE(d.s.unprotected);
    }
    SECTION("it dies first") {
        d.send(BackendDied{.kind = EvidenceKind::process_exit,
                           .text = "exit 1",
                           .proof = true,
                           .server = "spare"});
        CHECK(d.s.unprotected);
        CHECK(d.wants(Action::end_recovery));
    }
}

TEST_CASE("cancel works until the new server has been given traffic") {
    for (const State state : {State::fence, State::choose, State::restore, State::verify,
                              State::start, State::warm, State::protect}) {
        Driver d;
        d.leadTo(state);
        INFO(name(state));
        const bool late = state >= State::warm;
        CHECK(mayCancel(d.s).has_value() == !late);
        d.send(Cancel{"ann"});
        if (d.awaits(Action::stop_replacement))
            d.answer(Action::stop_replacement, ReplacementStopped{});
        CHECK(d.s.state == (late ? state : State::cancelled));
        if (late) continue;
        CHECK(d.s.spare.empty());
        CHECK(d.count(Action::mark_spare_dirty) == (state >= State::restore ? 1 : 0));
    }
}

TEST_CASE("an operator's recovery takes the snapshot that was named, and only that") {
    Driver d;
    d.send(Requested{"ann", "s2"});
    CHECK(d.s.state == State::fence);
    d.fenceIt(true);
    CHECK(d.count(Action::rescue) == 0);
    d.chooseIt();
    CHECK(d.s.snapshot->id == "s2");
    d.answer(Action::restore, RestoreFailed{RestoreFailed::Kind::bad_chunk, "pack p"});
    d.answer(Action::list_snapshots,
             SnapshotsListed{{d.snapshot(1), d.snapshot(3), d.snapshot(2)}});
    CHECK(d.s.held == HeldReason::no_snapshot);
}

TEST_CASE("after a crash of the proxy the same commands are given again") {
    for (const State state : {State::fence, State::choose, State::restore, State::verify,
                              State::start, State::warm, State::protect}) {
        Driver d;
        d.leadTo(state);
        INFO(name(state));
        const auto again = resume(d.s, d.c, d.clock.now());
        REQUIRE(again.commands.size() == d.s.pending.size());
        for (size_t i = 0; i < again.commands.size(); i++) {
            CHECK(again.commands[i].step == d.s.pending[i].step);
            CHECK(again.commands[i].recovery == "r1");
        }
    }
}

TEST_CASE("the state survives JSON, whatever the clock of the next boot says") {
    for (const State state : {State::fence, State::choose, State::restore, State::verify,
                              State::start, State::warm, State::protect}) {
        Driver d;
        d.leadTo(state);
        const auto now = d.clock.now();
        const auto same = stateFromJson(toJson(d.s, now), now);
        REQUIRE(same);
        CHECK(*same == d.s);
        const auto later = stateFromJson(toJson(d.s, now), now + 1000h);
        REQUIRE(later);
        CHECK(*later->deadline - (now + 1000h) == *d.s.deadline - now);
    }
    CHECK(stateFromJson("{}", {}).error().message == "recovery state: field id is missing");
    Driver d;
    auto text = toJson(d.s, d.clock.now());
    text.replace(text.find("\"old_epoch\":3"), 13, "\"old_epoch\":-3");
    CHECK(stateFromJson(text, {}).error().message ==
          "recovery state: field old_epoch is not what it must be");
}

TEST_CASE("a pool without data needs no snapshot") {
    Driver d;
    d.c.policy.has_data = false;
    d.c.proven_snapshot = Known::no;
    d.leadTo(State::choose);
    d.answer(Action::claim_spare, SpareClaimed{"spare"});
    CHECK(d.s.state == State::start);
    d.startIt();
    d.warmIt();
    CHECK(d.s.state == State::done);
    CHECK(d.s.lost_s == 0);
}
