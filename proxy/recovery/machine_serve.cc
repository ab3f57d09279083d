#include <fmt/format.h>

#include <algorithm>

#include "proxy/recovery/handlers.h"

// From restored data to a server that is trusted with traffic, and protected again.
namespace regrow::recovery {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFirstRetry = 5s;
constexpr Duration kLongestRetry = 5min;
// Before the second and the third start: what fails may pass (an address that is let go a moment
// later), but not within milliseconds.
constexpr Duration kFirstPause = 500ms;
constexpr Duration kSecondPause = 2s;

void askService(Turn& turn) {
    turn.s.replacement_running = true;  // before the effect: after a crash it may run
    turn.due(turn.policy().start);
    turn.ask(Action::start_service, turn.policy().start);
}

// Each further try begins with the prepare hook only when that had not succeeded yet.
void nextTry(Turn& turn) {
    turn.s.retry_at.reset();
    if (!turn.policy().prepare_hook || turn.s.prepared) return askService(turn);
    turn.due(turn.policy().prepare_hook_timeout);
    turn.ask(Action::run_prepare_hook, turn.policy().prepare_hook_timeout);
}

void pause(Turn& turn) {
    const Duration length = turn.s.tries <= 1 ? kFirstPause : kSecondPause;
    turn.s.retry_at = turn.now + length;
    turn.due(length + turn.policy().start);
}

bool triesLeft(const Turn& turn) {
    return turn.s.tries < turn.policy().start_retries;
}

void stopAndTryAgain(Turn& turn, const std::string& why) {
    turn.s.tries++;
    turn.say(fmt::format("start failed, once more: {}", why));
    turn.due(turn.policy().stop);
    turn.ask(Action::stop_replacement, turn.policy().stop);
}

// It ran, on the data of this snapshot, and ended or did not get well.
void notWell(Turn& turn, const std::string& why) {
    turn.drop(Action::watch_checks);
    triesLeft(turn) ? stopAndTryAgain(turn, why) : doubt(turn, why);
}

void hookAgain(Turn& turn, const std::string& why) {
    if (!triesLeft(turn)) return spareFails(turn, why);
    turn.s.tries++;
    turn.say(fmt::format("{}, once more", why));
    pause(turn);
}

// Seconds of acknowledged writes that may be missing: what was written between the snapshot and the
// death.
double lost(const RecoveryState& s) {
    if (!s.snapshot || (s.rescued && s.rescued->id == s.snapshot->id)) return 0;
    const auto ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(s.died_wall - s.snapshot->captured)
            .count();
    return ms > 0 ? static_cast<double>(ms) / 1000 : 0;
}

void unprotected(Turn& turn, const std::string& why) {
    turn.s.unprotected = true;
    finish(turn, State::done,
           fmt::format("{} died before its first snapshot was proven: {}", turn.s.spare, why));
}

void firstSnapshotAgain(Turn& turn, const std::string& why) {
    turn.s.reason = fmt::format("not protected yet: {}", why);
    turn.s.backoff =
        turn.s.backoff == Duration{} ? kFirstRetry : std::min(kLongestRetry, turn.s.backoff * 2);
    turn.s.retry_at = turn.now + turn.s.backoff;
    turn.drop(Action::take_first_snapshot);
    turn.say(turn.s.reason);
}

}  // namespace

void enterStart(Turn& turn) {
    turn.enter(State::start, fmt::format("{} is ready with epoch {}", turn.s.spare, turn.s.epoch),
               turn.policy().start);
    turn.s.prepared = false;
    nextTry(turn);
}

void startHookDone(Turn& turn, const HookDone&) {
    turn.s.prepared = true;
    turn.s.tries = 0;
    askService(turn);
}

void startHookFailed(Turn& turn, const HookFailed& event) {
    hookAgain(turn, fmt::format("the prepare hook failed: {}", event.text));
}

void startStarted(Turn& turn, const ServiceStarted&) {
    turn.due(turn.policy().start);
    turn.ask(Action::watch_checks, turn.policy().start);
    turn.say(fmt::format("{} started, waiting for its checks", turn.s.spare));
}

void startFailed(Turn& turn, const StartFailed& event) {
    const auto why = fmt::format("it could not be started: {}", event.text);
    triesLeft(turn) ? stopAndTryAgain(turn, why) : spareFails(turn, why);
}

void startStopped(Turn& turn, const ReplacementStopped&) {
    pause(turn);
}

void startStopFailed(Turn& turn, const StopFailed& event) {
    giveUpSpare(turn, Action::mark_spare_lost,
                fmt::format("it could not be stopped: {}", event.text));
}

void startGood(Turn& turn, const ChecksGood&) {
    enterWarm(turn);
}

void startBad(Turn& turn, const ChecksBad& event) {
    notWell(turn, event.text);
}

void startTick(Turn& turn, const Tick&) {
    if (turn.retryDue()) return nextTry(turn);
    if (!turn.deadlinePassed()) return;
    if (turn.awaits(Action::stop_replacement))
        return startStopFailed(turn, StopFailed{"no answer in time"});
    if (turn.awaits(Action::run_prepare_hook)) {
        turn.tell(Action::abort_step, "no answer in time");
        return hookAgain(turn, "the prepare hook did not end in time");
    }
    if (turn.awaits(Action::start_service))
        return startFailed(turn, StartFailed{"no answer in time"});
    notWell(turn, "its checks did not become good in time");
}

void enterWarm(Turn& turn) {
    auto& s = turn.s;
    turn.enter(State::warm, fmt::format("checks of {} are good", s.spare), turn.policy().warm);
    s.served = true;
    s.lost_s = lost(s);
    turn.tell(Action::quarantine_old, fmt::format("replaced by {} in recovery {}", s.spare, s.id));
    turn.ask(Action::publish_serving, turn.policy().warm);
}

void warmWorkers(Turn& turn, const WorkersAcknowledged&) {
    turn.s.serving_at = turn.now;
    turn.say(fmt::format("{} serves; releasing held requests", turn.s.spare));
    turn.ask(Action::release_held, turn.policy().warm);
}

void warmReleased(Turn& turn, const HeldReleased&) {
    turn.ask(Action::ramp, turn.policy().warm);
}

void warmRamped(Turn& turn, const RampDone&) {
    enterProtect(turn, fmt::format("{} carries full traffic", turn.s.spare));
}

void loseReplacement(Turn& turn, const std::string& why) {
    auto& s = turn.s;
    s.attempts++;
    s.old_server = s.spare;
    s.old_epoch = s.epoch;
    s.spare.clear();
    s.spare_written = s.replacement_running = s.data_gone = false;
    s.serving_at.reset();
    s.died_at = turn.now;
    s.died_wall = turn.context.wall;
    turn.tell(Action::quarantine_old,
              fmt::format("it took writes and died while warming: {}", why));
    enterFence(turn, fmt::format("{} died while warming: {}", s.old_server, why));
}

void warmBad(Turn& turn, const ChecksBad& event) {
    loseReplacement(turn, event.text);
}

void warmDied(Turn& turn, const BackendDied& event) {
    if (event.server != turn.s.spare) return;
    addEvidence(turn, event.kind, event.text);
    if (event.proof) loseReplacement(turn, event.text);
}

void warmSpareLost(Turn& turn, const SpareLost& event) {
    if (event.server == turn.s.spare) loseReplacement(turn, event.text);
}

void warmTick(Turn& turn, const Tick&) {
    if (!turn.deadlinePassed()) return;
    if (turn.awaits(Action::publish_serving)) {
        turn.tell(Action::notify, "a worker does not take the new server: still trying", true);
        turn.due(turn.policy().warm);
        return turn.ask(Action::publish_serving, turn.policy().warm);
    }
    enterProtect(turn, "its checks are good, though warming did not end in time");
}

void enterProtect(Turn& turn, std::string reason) {
    turn.enter(State::protect, std::move(reason), turn.policy().protect);
    turn.s.backoff = {};
    if (!turn.policy().has_data)
        return finish(turn, State::done, fmt::format("{} fills the place", turn.s.spare));
    turn.ask(Action::take_first_snapshot, turn.policy().protect);
}

void protectTaken(Turn& turn, const SnapshotTaken& event) {
    if (!event.snapshot.proven)
        return firstSnapshotAgain(
            turn, fmt::format("snapshot {} is not proven", event.snapshot.shortId()));
    finish(turn, State::done,
           fmt::format("{} fills the place, protected by snapshot {}", turn.s.spare,
                       event.snapshot.shortId()));
}

void protectFailed(Turn& turn, const SnapshotFailed& event) {
    firstSnapshotAgain(turn, event.text);
}

void protectDied(Turn& turn, const BackendDied& event) {
    if (event.server != turn.s.spare) return;
    addEvidence(turn, event.kind, event.text);
    if (event.proof) unprotected(turn, event.text);
}

void protectConfirmed(Turn& turn, const Confirmed& event) {
    unprotected(turn, event.text);
}

void protectSpareLost(Turn& turn, const SpareLost& event) {
    if (event.server == turn.s.spare) unprotected(turn, event.text);
}

void protectTick(Turn& turn, const Tick&) {
    if (turn.deadlinePassed()) {
        turn.due(turn.policy().alarm_every);
        turn.tell(Action::notify,
                  fmt::format("{} serves, but has no proven snapshot of its own yet", turn.s.spare),
                  true);
        // Nobody may wait for ever on a capture that says nothing.
        if (turn.awaits(Action::take_first_snapshot))
            firstSnapshotAgain(turn, "the first snapshot takes too long");
    }
    if (!turn.retryDue()) return;
    turn.s.retry_at.reset();
    turn.ask(Action::take_first_snapshot, turn.policy().protect);
}

void cancelWorking(Turn& turn, const Cancel& event) {
    auto& s = turn.s;
    if (s.reinstating) return cancelTooLate(turn, event);
    if (s.held_from == State::decide && s.state == State::held) return cancelNow(turn, event);
    s.actor = event.actor;
    s.cancelling = true;
    turn.tell(Action::abort_step, "cancelled");
    if (s.replacement_running)
        return enterChoose(turn, fmt::format("cancelled by {}: stopping {}", event.actor, s.spare));
    releaseSpare(turn, "recovery cancelled");
    finish(turn, State::cancelled,
           fmt::format("cancelled by {}; {} stays fenced", event.actor, s.old_server));
}

void cancelTooLate(Turn& turn, const Cancel& event) {
    turn.changed = false;
    turn.say(fmt::format("{} asked to cancel; too late, a server has been given the place",
                         event.actor));
}

void workingSpareLost(Turn& turn, const SpareLost& event) {
    if (event.server == turn.s.spare && !turn.s.spare.empty())
        giveUpSpare(turn, Action::mark_spare_lost, event.text);
}

bool mayBeReinstated(const RecoveryState& s) {
    const bool held = s.state == State::held;
    const State at = held ? s.held_from : s.state;
    const bool waiting = at == State::choose || at == State::restore || at == State::verify ||
                         (held && at == State::fence);
    // A worker that has not dropped the old epoch could still use it beside the new one: not
    // before all have.
    return waiting && s.workers_cut && !s.served && !s.requested && !s.cancelling && !s.reinstating;
}

void workingReturned(Turn& turn, const OldReturned& event) {
    auto& s = turn.s;
    if (s.reinstating || !s.workers_cut) return;
    if (!event.healthy || !event.data_intact || !mayBeReinstated(s))
        return lateReturned(turn, event);
    releaseSpare(turn, "the old server came back");
    turn.tell(Action::abort_step, "the old server came back");  // nobody stops it any more
    s.reinstating = true;
    s.snapshot.reset();
    turn.enter(State::fence,
               fmt::format("{} came back with its data before anything else took a write: {}",
                           s.old_server, event.text),
               turn.policy().fence);
    s.epoch = std::max(s.epoch, turn.context.epoch_floor) + 1;
    s.epoch_durable = false;
    turn.ask(Action::persist_epoch, turn.policy().fence);
}

void lateReturned(Turn& turn, const OldReturned& event) {
    turn.tell(Action::quarantine_old, event.text);
    turn.say(fmt::format("{} came back after being replaced: quarantined, its data is kept",
                         turn.s.old_server));
}

}  // namespace regrow::recovery
