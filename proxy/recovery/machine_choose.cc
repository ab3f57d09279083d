#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "proxy/recovery/handlers.h"

// A spare and a snapshot. A replacement that failed is stopped first: nothing is restored under a
// running process.
namespace regrow::recovery {
namespace {

void ask(Turn& turn) {
    auto& s = turn.s;
    if (s.cancelling) {
        releaseSpare(turn, "recovery cancelled");
        return finish(turn, State::cancelled,
                      fmt::format("cancelled by {}; {} stays fenced", s.actor, s.old_server));
    }
    if (s.attempts >= turn.policy().max_attempts) {
        releaseSpare(turn, "recovery failed");
        return finish(turn, State::failed,
                      fmt::format("{} attempts failed, the last: {}", s.attempts, s.reason));
    }
    turn.due(turn.policy().choose);
    if (s.spare.empty()) turn.ask(Action::claim_spare, turn.policy().choose);
    if (turn.policy().has_data && !s.listed) turn.ask(Action::list_snapshots, turn.policy().choose);
}

void noSnapshot(Turn& turn) {
    auto& s = turn.s;
    const auto text = s.wanted_snapshot.empty()
                          ? fmt::format("none of {} snapshots is proven, complete and untried",
                                        s.candidates.size())
                          : fmt::format("snapshot {} is not there, not proven, or did not restore",
                                        s.wanted_snapshot);
    // Others may use a spare that was not written to.
    if (!s.spare_written) releaseSpare(turn, "no snapshot to restore");
    hold(turn, HeldReason::no_snapshot, State::choose, text);
}

void advance(Turn& turn) {
    auto& s = turn.s;
    if (s.spare.empty()) return;
    if (!turn.policy().has_data) return enterStart(turn);
    if (!s.listed || turn.awaits(Action::pin_snapshot)) return;
    s.snapshot = chooseSnapshot(s.candidates, s.tried, s.wanted_snapshot);
    if (!s.snapshot) return noSnapshot(turn);
    turn.say(fmt::format("snapshot {} chosen for {}", s.snapshot->shortId(), s.spare));
    turn.ask(Action::pin_snapshot, turn.policy().choose);
}

bool untried(const RecoveryState& s, const std::string& id) {
    return std::ranges::find(s.tried, id) == s.tried.end();
}

void stopped(Turn& turn) {
    turn.s.replacement_running = false;
    ask(turn);
}

}  // namespace

std::optional<SnapshotRef> chooseSnapshot(const std::vector<SnapshotRef>& candidates,
                                          const std::vector<std::string>& tried,
                                          const std::string& wanted) {
    std::optional<SnapshotRef> best;
    for (const auto& c : candidates) {
        if (!c.proven || !c.complete || c.suspicious) continue;
        if (!wanted.empty() && c.id != wanted) continue;
        if (std::ranges::find(tried, c.id) != tried.end()) continue;
        if (!best || std::pair(c.epoch, c.number) > std::pair(best->epoch, best->number)) best = c;
    }
    return best;
}

void enterChoose(Turn& turn, std::string reason) {
    auto& s = turn.s;
    turn.enter(State::choose, std::move(reason), turn.policy().choose);
    s.snapshot.reset();
    s.candidates.clear();
    // A rescue is newer than anything a listing can name, so nobody needs to wait for one.
    s.listed = s.rescued && untried(s, s.rescued->id);
    if (s.listed) s.candidates = {*s.rescued};
    if (!s.replacement_running) return ask(turn);
    turn.due(turn.policy().stop);
    turn.ask(Action::stop_replacement, turn.policy().stop);
}

void giveUpSnapshot(Turn& turn, const std::string& why) {
    auto& s = turn.s;
    s.attempts++;
    // Without data there is no older snapshot to try, only another spare.
    if (!s.snapshot) return giveUpSpare(turn, Action::mark_spare_dirty, why);
    s.tried.push_back(s.snapshot->id);
    enterChoose(turn, fmt::format("snapshot {} is no use: {}", s.snapshot->shortId(), why));
}

void giveUpSpare(Turn& turn, Action how, const std::string& why) {
    auto& s = turn.s;
    s.attempts++;
    const std::string spare = s.spare;
    // Its process goes with it, as far as it can still be reached; nothing waits for that, because
    // the spare gets no traffic.
    turn.tell(Action::abort_step, why);
    turn.tell(how, why);
    s.spare.clear();
    s.spare_written = s.replacement_running = false;
    enterChoose(turn, fmt::format("spare {} is no use: {}", spare, why));
}

void releaseSpare(Turn& turn, const std::string& why) {
    auto& s = turn.s;
    if (s.spare.empty()) return;
    if (s.spare_written) turn.tell(Action::abort_step, why);
    turn.tell(s.spare_written ? Action::mark_spare_dirty : Action::free_spare, why);
    s.spare.clear();
    s.spare_written = s.replacement_running = false;
}

void chooseListed(Turn& turn, const SnapshotsListed& event) {
    turn.s.candidates = event.snapshots;
    turn.s.listed = true;
    advance(turn);
}

void chooseRepositoryDown(Turn& turn, const RepositoryDown& event) {
    hold(turn, HeldReason::repository, State::choose, event.text);
}

void chooseClaimed(Turn& turn, const SpareClaimed& event) {
    turn.s.spare = event.server;
    turn.s.spare_written = false;
    turn.say(fmt::format("spare {} claimed", event.server));
    advance(turn);
}

void chooseNoSpare(Turn& turn, const NoSpare& event) {
    hold(turn, HeldReason::no_spare, State::choose, event.text);
}

void choosePinned(Turn& turn, const SnapshotPinned&) {
    enterRestore(turn);
}

void choosePinFailed(Turn& turn, const PinFailed& event) {
    turn.say(
        fmt::format("snapshot {} cannot be pinned: {}", turn.s.snapshot->shortId(), event.text));
    turn.s.tried.push_back(turn.s.snapshot->id);
    enterChoose(turn,
                fmt::format("snapshot {} went away: {}", turn.s.snapshot->shortId(), event.text));
}

void chooseStopped(Turn& turn, const ReplacementStopped&) {
    stopped(turn);
}

void chooseStopFailed(Turn& turn, const StopFailed& event) {
    if (turn.s.cancelling) return stopped(turn);
    giveUpSpare(turn, Action::mark_spare_lost,
                fmt::format("it could not be stopped: {}", event.text));
}

void chooseTick(Turn& turn, const Tick&) {
    if (!turn.deadlinePassed()) return;
    if (turn.awaits(Action::stop_replacement))
        return chooseStopFailed(turn, StopFailed{"no answer in time"});
    if (turn.awaits(Action::claim_spare))
        return hold(turn, HeldReason::no_spare, State::choose, "no spare could be claimed in time");
    hold(turn, HeldReason::repository, State::choose, "the repository did not answer in time");
}

}  // namespace regrow::recovery
