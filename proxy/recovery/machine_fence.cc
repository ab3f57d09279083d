#include <fmt/format.h>

#include <algorithm>

#include "proxy/recovery/handlers.h"

// Cutting off the server that filled the place. The epoch is durable first; then the workers drop
// its address (that alone stops writes through us), and its processes end (that stops all others).
// Its disk, if untouched, gives one last snapshot.
namespace regrow::recovery {
namespace {

bool cut(const RecoveryState& s) {
    return s.workers_cut && s.processes_gone;
}

constexpr int kRescueTries = 3;  // that fail for the repository's sake while it answers listings

bool wantsRescue(const Turn& turn) {
    return turn.policy().rescue && turn.policy().has_data && turn.s.old_intact &&
           !turn.s.data_gone && turn.s.wanted_snapshot.empty();
}

void startRescue(Turn& turn) {
    turn.s.rescue_until = turn.now + turn.policy().rescue_total;
    turn.s.rescue_bytes = 0;
    turn.ask(Action::rescue, turn.policy().rescue_total);
}

void endRescue(Turn& turn, const std::string& why) {
    turn.s.rescue_over = true;
    turn.say(why);
    advanceFence(turn);
}

// The policy decides what to do when nobody can confirm that the old server is gone.
void unconfirmed(Turn& turn, const std::string& why) {
    if (!turn.policy().unfenced_proceed) return hold(turn, HeldReason::unfenced, State::fence, why);
    turn.say(fmt::format("{}; going on, as recovery.unfenced: proceed says", why));
    turn.tell(Action::notify, fmt::format("{}: going on without it", why), true);
    turn.s.processes_gone = turn.s.rescue_over = true;
    turn.drop(Action::stop_old);
    advanceFence(turn);
}

void fenceOverdue(Turn& turn) {
    const auto& s = turn.s;
    if (s.reinstating) return turn.due(turn.policy().fence), askFence(turn);
    if (!s.epoch_durable)
        return hold(turn, HeldReason::journal, State::fence,
                    "the epoch did not become durable in time");
    if (!s.workers_cut)
        return hold(turn, HeldReason::unfenced, State::fence,
                    "a worker did not confirm that it dropped the old server");
    if (!s.processes_gone)
        return unconfirmed(
            turn, fmt::format("nobody confirmed within {} s that {} is gone",
                              turn.policy().fence / std::chrono::seconds(1), s.old_server));
    turn.tell(Action::abort_step, "rescue");
    turn.drop(Action::rescue);
    endRescue(turn, "the rescue snapshot did not end in time; the newest proven one has to do");
}

}  // namespace

// The dead server's disk is newer than anything a listing can name, and nothing has touched it
// since: first in line when the repository is back.
bool rescueAgain(Turn& turn) {
    auto& s = turn.s;
    if (!s.rescue_owed || s.rescued || !wantsRescue(turn)) return false;
    turn.enter(State::fence,
               fmt::format("the repository answers again: the last state of {} is rescued first",
                           s.old_server),
               turn.policy().rescue_silence);
    s.rescue_owed = s.rescue_over = false;
    startRescue(turn);
    return true;
}

void noteRepositoryDown(Turn& turn) {
    turn.s.rescue_owed = turn.s.rescue_owed || (!turn.s.rescued && wantsRescue(turn));
}

void enterFence(Turn& turn, std::string reason) {
    auto& s = turn.s;
    turn.enter(State::fence, std::move(reason), turn.policy().fence);
    s.epoch = std::max({s.epoch, s.old_epoch, turn.context.epoch_floor}) + 1;
    s.epoch_durable = s.workers_cut = s.processes_gone = s.old_intact = s.rescue_over = false;
    s.rescue_until.reset();
    s.rescued.reset();
    s.rescue_owed = false;
    s.rescue_tries = 0;
    askFence(turn);
}

void askFence(Turn& turn) {
    const auto& s = turn.s;
    const Duration limit = turn.policy().fence;
    if (!s.epoch_durable) return turn.ask(Action::persist_epoch, limit);
    if (s.reinstating) return turn.ask(Action::reinstate_old, limit);
    if (!s.workers_cut) turn.ask(Action::publish_fenced, limit);
    if (!s.processes_gone) turn.ask(Action::stop_old, limit);
    if (s.rescue_until && turn.now >= *s.rescue_until && !s.rescue_over) {
        turn.tell(Action::abort_step, "rescue");
        turn.drop(Action::rescue);
        turn.s.rescue_over = true;
    }
}

void advanceFence(Turn& turn) {
    auto& s = turn.s;
    if (!cut(s)) return;
    // A replacement that served and died as its predecessor did: the next spare would go the same
    // way.
    if (s.rescue_over && s.served && turn.context.flapping_until && !s.approved)
        return hold(turn, HeldReason::flapping, State::choose,
                    fmt::format("{} died as well soon after it served: held down", s.old_server));
    if (s.rescue_over)
        return enterChoose(
            turn, s.rescued ? fmt::format("{} is fenced, its last state rescued", s.old_server)
                  : s.old_server.empty() ? "nobody fills the place"
                                         : fmt::format("{} is fenced", s.old_server));
    if (s.state == State::held) {
        auto waiting = s.pending;
        turn.enter(State::fence,
                   fmt::format("{} is fenced, its last state is being rescued", s.old_server), {});
        s.pending = std::move(waiting);
    }
    s.deadline = std::min(turn.now + turn.policy().rescue_silence, *s.rescue_until);
}

void fenceEpochDurable(Turn& turn, const EpochDurable&) {
    turn.s.epoch_durable = true;
    turn.say(fmt::format("epoch {} is durable", turn.s.epoch));
    askFence(turn);
}

void fenceEpochFailed(Turn& turn, const EpochFailed& event) {
    hold(turn, HeldReason::journal, State::fence,
         fmt::format("epoch {} could not be made durable: {}", turn.s.epoch, event.text));
}

void fenceWorkers(Turn& turn, const WorkersAcknowledged&) {
    if (turn.answered == Action::reinstate_old) {
        turn.s.serving_at = turn.now;
        turn.s.lost_s = 0;
        return finish(
            turn, State::done,
            fmt::format("{} came back with its data and serves again", turn.s.old_server));
    }
    turn.s.workers_cut = true;
    turn.say("every worker dropped the old server");
    advanceFence(turn);
}

void fenceGone(Turn& turn, const ProcessesGone& event) {
    turn.s.processes_gone = true;
    turn.s.old_intact = event.data_intact;
    if (!turn.s.old_server.empty())
        turn.say(fmt::format("{} is gone: {}", turn.s.old_server, event.text));
    if (wantsRescue(turn))
        startRescue(turn);
    else
        turn.s.rescue_over = true;
    advanceFence(turn);
}

void fenceFailed(Turn& turn, const FenceFailed& event) {
    if (turn.s.state != State::held) return unconfirmed(turn, event.text);
    turn.s.reason = event.text;
}

void fenceRescueProgress(Turn& turn, const RescueProgress& event) {
    turn.changed = false;
    if (event.bytes <= turn.s.rescue_bytes) return;
    turn.s.rescue_bytes = event.bytes;
    if (cut(turn.s))
        turn.s.deadline = std::min(turn.now + turn.policy().rescue_silence, *turn.s.rescue_until);
}

void fenceRescued(Turn& turn, const RescueDone& event) {
    if (!event.snapshot.proven || !event.snapshot.complete || event.snapshot.suspicious)
        return endRescue(turn, fmt::format("rescue snapshot {} is not proven, or holds too little",
                                           event.snapshot.shortId()));
    turn.s.rescued = event.snapshot;
    endRescue(turn, fmt::format("rescue snapshot {} taken", event.snapshot.shortId()));
}

void fenceRescueFailed(Turn& turn, const RescueFailed& event) {
    auto& s = turn.s;
    if (event.repository)
        s.rescue_owed = ++s.rescue_tries < kRescueTries;
    else
        s.old_intact = false;  // it will not be better later
    endRescue(turn, fmt::format("no rescue snapshot: {}", event.text));
}

void fenceTick(Turn& turn, const Tick&) {
    if (turn.deadlinePassed()) fenceOverdue(turn);
}

}  // namespace regrow::recovery
