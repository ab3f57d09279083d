#include <fmt/format.h>

#include <algorithm>

#include "proxy/recovery/handlers.h"

// The gate: decide, and being held. Why nothing happens is always said.
namespace regrow::recovery {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFirstLook = 1s;
constexpr Duration kLongestLook = 30s;

struct Block {
    HeldReason reason;
    std::string text;
};

std::optional<Block> blockedByPeople(const RecoveryState& s, const Context& c) {
    if (c.maintenance && !s.requested)
        return Block{HeldReason::maintenance, "the backend is in maintenance"};
    if (c.paused)
        return Block{HeldReason::paused, "recoveries are paused; `regrow resume` lets it go on"};
    if (c.policy.mode == Mode::off && !s.approved)
        return Block{HeldReason::off,
                     fmt::format("recovery.mode is off; `regrow approve {}` does it once", s.id)};
    return std::nullopt;
}

std::optional<Block> blockedByCaution(const RecoveryState& s, const Context& c, Instant now) {
    if (s.approved) return std::nullopt;
    if (c.flapping_until && now < *c.flapping_until)
        return Block{HeldReason::flapping,
                     fmt::format("it was recovered a moment ago and died again: held down for {} s",
                                 (*c.flapping_until - now + 999ms) / 1s)};
    if (c.panic)
        return Block{
            HeldReason::panic,
            "too many backends died at once: no spare is spent until one recovery succeeded"};
    if (!c.budget_left) return Block{HeldReason::budget, "recovery.budget is spent"};
    return std::nullopt;
}

std::optional<Block> blockedByMeans(const Context& c) {
    if (c.spare == Known::no) return Block{HeldReason::no_spare, "the pool has no free spare"};
    if (c.policy.has_data && c.proven_snapshot == Known::no)
        return Block{HeldReason::no_snapshot,
                     "no snapshot of it is proven; nothing is ever started empty"};
    return std::nullopt;
}

std::optional<Block> blocked(const Turn& turn) {
    if (auto block = blockedByPeople(turn.s, turn.context)) return block;
    if (auto block = blockedByCaution(turn.s, turn.context, turn.now)) return block;
    if (auto block = blockedByMeans(turn.context)) return block;
    // Asked last, so that nobody approves what cannot be done.
    if (turn.policy().mode == Mode::approve && !turn.s.approved)
        return Block{HeldReason::approval,
                     fmt::format("waiting for `regrow approve {}`", turn.s.id)};
    return std::nullopt;
}

bool mustAsk(const Turn& turn) {
    return turn.policy().has_data && turn.context.proven_snapshot == Known::unknown;
}

void pass(Turn& turn) {
    turn.s.gate_passed = true;
    turn.s.backoff = {};
    enterFence(turn, turn.s.approved ? fmt::format("approved by {}", turn.s.approver)
                                     : "nothing speaks against it");
}

void gate(Turn& turn) {
    if (auto block = blocked(turn))
        return hold(turn, block->reason, State::decide, std::move(block->text));
    if (mustAsk(turn)) return turn.ask(Action::list_snapshots, turn.policy().decide);
    pass(turn);
}

// A listing that arrived at the gate, when control did not know.
void gateListed(Turn& turn, const SnapshotsListed& event) {
    if (auto block = blocked(turn))
        return hold(turn, block->reason, State::decide, std::move(block->text));
    if (!chooseSnapshot(event.snapshots, turn.s.tried, turn.s.wanted_snapshot))
        return hold(
            turn, HeldReason::no_snapshot, State::decide,
            turn.s.wanted_snapshot.empty()
                ? "no snapshot of it is proven; nothing is ever started empty"
                : fmt::format("snapshot {} is not there, or not proven", turn.s.wanted_snapshot));
    pass(turn);
}

// At once for a new reason, then every alarm_every, however often it was looked at in between.
void alarmWhenDue(Turn& turn) {
    auto& s = turn.s;
    if (!s.alarm_at || turn.now >= *s.alarm_at) {
        turn.tell(Action::notify, fmt::format("held ({}): {}", name(s.held), s.reason), true);
        s.alarmed = s.held;
        s.alarm_at = turn.now + turn.policy().alarm_every;
    }
    s.deadline = s.alarm_at;
}

void lookAgain(Turn& turn) {
    if (turn.s.up_again && turn.s.held_from == State::decide && !turn.s.requested &&
        !turn.context.flapping_until && turn.s.held == HeldReason::flapping)
        return backToSteady(turn, "it stayed up during the hold-down");
    if (turn.s.held_from == State::fence) {
        turn.s.backoff = std::min(kLongestLook, turn.s.backoff * 2);
        turn.s.retry_at = turn.now + turn.s.backoff;
        return askFence(turn);
    }
    if (turn.s.held_from == State::choose) {
        // Nothing to look at: no reason to claim, list and hold again.
        const bool hopeless = (turn.s.held == HeldReason::no_spare && turn.s.spare.empty() &&
                               turn.context.spare == Known::no) ||
                              (turn.s.held == HeldReason::flapping && turn.context.flapping_until &&
                               !turn.s.approved);
        if (!hopeless) return enterChoose(turn, "looking again");
        turn.s.backoff = std::min(kLongestLook, turn.s.backoff * 2);
        turn.s.retry_at = turn.now + turn.s.backoff;
        return;
    }
    const auto block = blocked(turn);
    if (!block && mustAsk(turn)) {
        turn.s.retry_at = turn.now + turn.s.backoff;
        return turn.ask(Action::list_snapshots, turn.policy().choose);
    }
    if (!block) return pass(turn);
    if (block->reason != turn.s.held) return hold(turn, block->reason, State::decide, block->text);
    turn.s.reason = block->text;
    turn.s.backoff = std::min(kLongestLook, turn.s.backoff * 2);
    turn.s.retry_at = turn.now + turn.s.backoff;
}

}  // namespace

void enterDecide(Turn& turn, std::string reason) {
    turn.enter(State::decide, std::move(reason), turn.policy().decide);
    gate(turn);
}

void hold(Turn& turn, HeldReason reason, State from, std::string text) {
    auto waiting =
        turn.s.pending;  // a fence goes on while it is held: its late answers still count
    const Duration backoff =
        turn.s.backoff == Duration{} ? kFirstLook : std::min(kLongestLook, turn.s.backoff * 2);
    turn.enter(State::held, std::move(text), std::nullopt);
    if (from == State::fence) turn.s.pending = std::move(waiting);
    turn.s.held = reason;
    turn.s.held_from = from;
    turn.s.backoff = backoff;
    turn.s.retry_at = turn.now + backoff;
    if (turn.s.alarmed != reason) turn.s.alarm_at.reset();
    alarmWhenDue(turn);
}

void decideGate(Turn& turn, const GateChanged&) {
    if (!turn.awaits(Action::list_snapshots) || blocked(turn)) gate(turn);
}

void decideRecovered(Turn& turn, const Recovered&) {
    if (!turn.s.requested) backToSteady(turn, "checks are good again");
}

void decideListed(Turn& turn, const SnapshotsListed& event) {
    gateListed(turn, event);
}

void decideRepositoryDown(Turn& turn, const RepositoryDown& event) {
    hold(turn, HeldReason::repository, State::decide, event.text);
}

void decideTick(Turn& turn, const Tick&) {
    if (turn.deadlinePassed())
        hold(turn, HeldReason::repository, State::decide,
             "the repository did not list its snapshots in time");
}

void heldDied(Turn& turn, const BackendDied& event) {
    if (event.server != turn.s.old_server) return;
    addEvidence(turn, event.kind, event.text);
    turn.s.data_gone = turn.s.data_gone || event.data_gone;
    turn.s.up_again = false;
}

void heldRecovered(Turn& turn, const Recovered&) {
    turn.s.up_again = true;
    if (turn.s.held_from != State::decide || turn.s.requested ||
        turn.s.held == HeldReason::flapping)
        return;
    backToSteady(turn,
                 fmt::format("checks are good again while it was held ({})", name(turn.s.held)));
}

void heldRequested(Turn& turn, const Requested& event) {
    requestedNow(turn, event);
    lookAgain(turn);
}

void heldGate(Turn& turn, const GateChanged&) {
    // GateChanged may come often: it never pushes the next look further away.
    const auto retry_at = turn.s.retry_at;
    const auto backoff = turn.s.backoff;
    // A spare that is kept because it is the only one is tried again in its own time.
    const bool spares =
        turn.s.held == HeldReason::no_spare && (turn.s.spare.empty() || turn.context.other_spare);
    if (turn.s.held_from == State::decide || spares) lookAgain(turn);
    if (turn.s.state != State::held || turn.awaits(Action::list_snapshots)) return;
    turn.s.retry_at = retry_at;
    turn.s.backoff = backoff;
}

void heldListed(Turn& turn, const SnapshotsListed& event) {
    gateListed(turn, event);
}

void heldRepositoryDown(Turn& turn, const RepositoryDown& event) {
    if (turn.s.held != HeldReason::repository)
        return hold(turn, HeldReason::repository, State::decide, event.text);
    turn.s.reason = event.text;
    turn.s.backoff = std::min(kLongestLook, turn.s.backoff * 2);
    turn.s.retry_at = turn.now + turn.s.backoff;
}

void heldApprove(Turn& turn, const Approve& event) {
    turn.s.approved = true;
    turn.s.approver = event.actor;
    turn.say(fmt::format("approved by {}", event.actor));
    if (turn.s.held == HeldReason::no_snapshot) turn.s.tried.clear();
    if (turn.s.held != HeldReason::unfenced) return lookAgain(turn);
    // The operator's word that the old server is gone. That the workers dropped it nobody but they
    // can say.
    if (!turn.s.processes_gone) turn.s.rescue_over = true;
    turn.s.processes_gone = true;
    turn.drop(Action::stop_old);
    advanceFence(turn);
}

void heldSpareLost(Turn& turn, const SpareLost& event) {
    if (turn.s.spare.empty() || event.server != turn.s.spare) return;
    turn.tell(Action::mark_spare_lost, event.text);
    turn.s.spare.clear();
    turn.s.spare_written = false;
}

void heldReturned(Turn& turn, const OldReturned& event) {
    if (turn.s.held_from == State::decide) return;
    workingReturned(turn, event);
}

void heldTick(Turn& turn, const Tick&) {
    alarmWhenDue(turn);
    if (turn.retryDue()) lookAgain(turn);
}

}  // namespace regrow::recovery
