#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "proxy/recovery/machine.h"

namespace regrow::test {

// Leads one recovery by hand: says what happens, and remembers what the machine asked for.
struct Driver {
    recovery::RecoveryState s;
    recovery::Context c;
    ManualClock clock;
    std::vector<recovery::Command> asked;  // by the last event
    std::vector<recovery::Command> all;
    std::string note;

    Driver() {
        s = recovery::begin("r1", "wiki", "wiki-1", "wiki-1", 3, clock.now());
        c.wall = clock.wallNow();
    }

    void send(recovery::EventBody body, uint32_t step = 0) {
        c.wall = clock.wallNow();
        auto result = recovery::step(s, {std::move(body), step}, c, clock.now());
        s = std::move(result.state);
        asked = std::move(result.commands);
        note = std::move(result.note);
        all.insert(all.end(), asked.begin(), asked.end());
    }
    // The answer to a command that is awaited; nothing happens when it is not.
    void answer(recovery::Action action, recovery::EventBody body) {
        const auto pending = std::ranges::find(s.pending, action, &recovery::Pending::action);
        send(std::move(body), pending == s.pending.end() ? 999'999 : pending->step);
    }
    void wait(Duration d) {
        clock.advance(d);
        send(recovery::Tick{});
    }
    bool wants(recovery::Action action) const {
        return std::ranges::find(asked, action, &recovery::Command::action) != asked.end();
    }
    bool awaits(recovery::Action action) const {
        return std::ranges::find(s.pending, action, &recovery::Pending::action) != s.pending.end();
    }
    size_t count(recovery::Action action) const {
        return static_cast<size_t>(std::ranges::count(all, action, &recovery::Command::action));
    }

    void dies(bool exited = true) {
        using recovery::EvidenceKind;
        send(
            recovery::BackendDied{.kind = exited ? EvidenceKind::process_exit : EvidenceKind::check,
                                  .text = exited ? "killed by SIGKILL" : "connection refused",
                                  .proof = exited,
                                  .server = s.old_server,
                                  .died_at = clock.now(),
                                  .died_wall = clock.wallNow()});
    }
    recovery::SnapshotRef snapshot(uint64_t number, bool proven = true) const {
        return {.id = "s" + std::to_string(number),
                .epoch = 3,
                .number = number,
                .captured = clock.wallNow() - std::chrono::seconds(100 - number),
                .proven = proven};
    }
    void fenceIt(bool intact) {
        answer(recovery::Action::persist_epoch, recovery::EpochDurable{});
        answer(recovery::Action::publish_fenced, recovery::WorkersAcknowledged{});
        answer(recovery::Action::stop_old, recovery::ProcessesGone{intact, "cgroup empty"});
    }
    void chooseIt() {
        answer(recovery::Action::claim_spare, recovery::SpareClaimed{"spare"});
        answer(recovery::Action::list_snapshots,
               recovery::SnapshotsListed{{snapshot(1), snapshot(3), snapshot(2)}});
        answer(recovery::Action::pin_snapshot, recovery::SnapshotPinned{});
    }
    void restoreIt() { answer(recovery::Action::restore, recovery::RestoreDone{1000}); }
    void verifyIt() {
        answer(recovery::Action::verify_tree, recovery::TreeVerified{"abc"});
        answer(recovery::Action::activate, recovery::Activated{});
    }
    void startIt() {
        answer(recovery::Action::start_service, recovery::ServiceStarted{});
        answer(recovery::Action::watch_checks, recovery::ChecksGood{});
    }
    void warmIt() {
        answer(recovery::Action::publish_serving, recovery::WorkersAcknowledged{});
        answer(recovery::Action::release_held, recovery::HeldReleased{});
        answer(recovery::Action::ramp, recovery::RampDone{});
    }
    // Host loss, led to just before the named state.
    void leadTo(recovery::State state) {
        using recovery::State;
        c.restart_allowed = false;
        dies();
        if (state <= State::fence) return;
        fenceIt(false);
        if (state == State::choose) return;
        chooseIt();
        if (state == State::restore) return;
        restoreIt();
        if (state == State::verify) return;
        verifyIt();
        if (state == State::start) return;
        startIt();
        if (state == State::warm) return;
        warmIt();
    }
};

}  // namespace regrow::test
