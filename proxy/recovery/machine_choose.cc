#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "proxy/recovery/handlers.h"

// A spare and a snapshot. A replacement that failed is stopped first: nothing is restored under a
// running process.
//
// Who is blamed for what fails. The newest proven snapshot is dear, so it is not given up for
// something that another spare might do better:
//
//     bad bytes, a tree or a hook that says no    the snapshot: the one before it
//     no room, host gone, cannot be stopped       the spare: another, same snapshot
//     program missing, address taken,             the spare; when it is the only one it is kept and
//       prepare hook                              tried again, held(no_spare) in between
//     it started, but ended or did not get well,  either: the same snapshot on one other spare, if
//       a restore that failed without saying why  any is free, then the snapshot before it
//
// Each of them counts as an attempt, and max_attempts of those end the recovery.
namespace regrow::recovery {
namespace {

void advance(Turn& turn);

constexpr int kPinTries = 3;  // of one that is listed, and proven

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
                      fmt::format("{} attempts failed, the last: {}", s.attempts,
                                  s.trouble.empty() ? s.reason : s.trouble));
    }
    turn.due(turn.policy().choose);
    if (s.spare.empty()) turn.ask(Action::claim_spare, turn.policy().choose);
    if (turn.policy().has_data && !s.listed) turn.ask(Action::list_snapshots, turn.policy().choose);
    if (!turn.awaits(Action::claim_spare) && !turn.awaits(Action::list_snapshots)) advance(turn);
}

// "none is free" alone would hide what became of those that were.
std::string withTrouble(const Turn& turn, const std::string& text) {
    return turn.s.trouble.empty() ? text : fmt::format("{}; before that, {}", text, turn.s.trouble);
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
    hold(turn, HeldReason::no_snapshot, State::choose, withTrouble(turn, text));
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
    s.tried.push_back(s.snapshot->id);
    s.trouble = fmt::format("snapshot {} on {}: {}", s.snapshot->shortId(), s.spare, why);
    enterChoose(turn, fmt::format("snapshot {} is no use: {}", s.snapshot->shortId(), why));
}

void giveUpSpare(Turn& turn, Action how, const std::string& why) {
    auto& s = turn.s;
    s.attempts++;
    const std::string spare = s.spare;
    s.trouble = fmt::format("spare {}: {}", spare, why);
    // Its process goes with it, as far as it can still be reached; nothing waits for that, because
    // the spare gets no traffic.
    turn.tell(Action::abort_step, why);
    turn.tell(how, why);
    s.spare.clear();
    s.spare_written = s.replacement_running = false;
    enterChoose(turn, fmt::format("spare {} is no use: {}", spare, why));
}

void spareFails(Turn& turn, const std::string& why) {
    auto& s = turn.s;
    if (turn.context.other_spare) return giveUpSpare(turn, Action::mark_spare_dirty, why);
    s.attempts++;
    s.trouble = fmt::format("spare {}: {}", s.spare, why);
    hold(turn, HeldReason::no_spare, State::choose,
         fmt::format("{}; no other is free, so it will be tried again", s.trouble));
}

void doubt(Turn& turn, const std::string& why) {
    auto& s = turn.s;
    if (!s.snapshot) return spareFails(turn, why);
    if (s.doubted == s.snapshot->id || !turn.context.other_spare) return giveUpSnapshot(turn, why);
    s.doubted = s.snapshot->id;
    giveUpSpare(turn, Action::mark_spare_dirty, why);
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
    if (rescueAgain(turn)) return;
    turn.s.candidates = event.snapshots;
    turn.s.listed = true;
    advance(turn);
}

void chooseRepositoryDown(Turn& turn, const RepositoryDown& event) {
    noteRepositoryDown(turn);
    hold(turn, HeldReason::repository, State::choose, event.text);
}

void chooseClaimed(Turn& turn, const SpareClaimed& event) {
    turn.s.spare = event.server;
    turn.s.spare_written = false;
    turn.say(fmt::format("spare {} claimed", event.server));
    advance(turn);
}

void chooseNoSpare(Turn& turn, const NoSpare& event) {
    hold(turn, HeldReason::no_spare, State::choose, withTrouble(turn, event.text));
}

void choosePinned(Turn& turn, const SnapshotPinned&) {
    turn.s.pin_failures = 0;
    enterRestore(turn);
}

// A repository that does not answer for a moment must not cost the newest snapshot; one that was
// pruned is missing from the next listing.
void choosePinFailed(Turn& turn, const PinFailed& event) {
    auto& s = turn.s;
    const auto text =
        fmt::format("snapshot {} cannot be pinned: {}", s.snapshot->shortId(), event.text);
    if (++s.pin_failures < kPinTries)
        return hold(turn, HeldReason::repository, State::choose, text);
    s.pin_failures = 0;
    s.attempts++;
    s.trouble = text;
    s.tried.push_back(s.snapshot->id);
    enterChoose(turn, text);
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
    noteRepositoryDown(turn);
    hold(turn, HeldReason::repository, State::choose, "the repository did not answer in time");
}

}  // namespace regrow::recovery
