#include <fmt/format.h>

#include <bit>

#include "proxy/recovery/handlers.h"

// From the first evidence to the decision to act: suspect, and the way back.
namespace regrow::recovery {
namespace {

constexpr size_t kEvidence = 16;  // later evidence adds nothing to the story

// Only a process that ended by itself is restarted where it was: a hung one must be fenced first,
// and a failed check says nothing of the process.
bool mayRestartInPlace(const Turn& turn) {
    const auto& s = turn.s;
    const auto& c = turn.context;
    return s.exited && turn.policy().supervised && !s.restarted && !s.data_gone &&
           c.restart_allowed && !c.unstable && !c.flapping_until && !c.paused && !c.maintenance;
}

void confirm(Turn& turn, const std::string& why) {
    if (!turn.s.confirmed) turn.s.detected_at = turn.now;
    turn.s.confirmed = true;
    if (!mayRestartInPlace(turn)) return enterDecide(turn, why);
    turn.s.restarted = true;
    turn.due(turn.policy().suspect);
    turn.ask(Action::restart_in_place, turn.policy().suspect);
    turn.say(fmt::format("{}: restarting {} in place", why, turn.s.old_server));
}

void weigh(Turn& turn, const BackendDied& event) {
    if (turn.s.confirmed) return;
    if (event.proof) return confirm(turn, event.text);
    if (std::popcount(turn.s.evidence_kinds) >= 2)
        return confirm(turn, fmt::format("a second kind of evidence: {}", event.text));
}

void noteDeath(Turn& turn, const BackendDied& event) {
    addEvidence(turn, event.kind, event.text);
    turn.s.exited = turn.s.exited || event.kind == EvidenceKind::process_exit;
    turn.s.data_gone = turn.s.data_gone || event.data_gone;
}

}  // namespace

void addEvidence(Turn& turn, EvidenceKind kind, const std::string& text) {
    auto line = fmt::format("{}: {}", name(kind), text);
    auto& all = turn.s.evidence;
    if ((all.empty() || all.back() != line) && all.size() < kEvidence)
        all.push_back(std::move(line));
    turn.s.evidence_kinds |= 1U << static_cast<unsigned>(kind);
}

void backToSteady(Turn& turn, std::string reason) {
    turn.enter(State::steady, reason, std::nullopt);
    turn.tell(Action::end_recovery, std::move(reason));
}

void steadyDied(Turn& turn, const BackendDied& event) {
    turn.s.died_at = turn.s.down_since = event.died_at;
    turn.s.died_wall = event.died_wall;
    noteDeath(turn, event);
    turn.enter(State::suspect, event.text, turn.policy().suspect);
    turn.s.retry_at = turn.now + turn.policy().confirm_alone;
    weigh(turn, event);
}

void steadyRequested(Turn& turn, const Requested& event) {
    turn.s.died_at = turn.s.down_since = turn.now;
    turn.s.died_wall = turn.context.wall;
    addEvidence(turn, EvidenceKind::operator_says, event.actor);
    requestedNow(turn, event);
    enterDecide(turn, fmt::format("asked for by {}", event.actor));
}

void requestedNow(Turn& turn, const Requested& event) {
    turn.s.requested = turn.s.approved = turn.s.confirmed = true;
    turn.s.approver = event.actor;
    turn.s.wanted_snapshot = event.snapshot;
    if (!turn.s.detected_at) turn.s.detected_at = turn.now;
}

void suspectDied(Turn& turn, const BackendDied& event) {
    const bool restarting = turn.awaits(Action::restart_in_place);
    const bool died_again =
        turn.s.restarted && !restarting && event.kind == EvidenceKind::process_exit;
    noteDeath(turn, event);
    if (died_again)
        return enterDecide(turn, fmt::format("died again after its restart: {}", event.text));
    weigh(turn, event);
}

void suspectConfirmed(Turn& turn, const Confirmed& event) {
    if (!turn.s.confirmed) confirm(turn, event.text);
}

void suspectRecovered(Turn& turn, const Recovered&) {
    // Whoever dies and returns again and again proves nothing by being up for a moment.
    if (turn.context.unstable && turn.s.confirmed)
        return enterDecide(turn, "it is up, but has died and returned too often to be believed");
    backToSteady(
        turn, turn.s.restarted ? "restarted in place, checks are good" : "checks are good again");
}

void suspectRequested(Turn& turn, const Requested& event) {
    requestedNow(turn, event);
    enterDecide(turn, fmt::format("asked for by {}", event.actor));
}

void suspectRestarted(Turn& turn, const RestartInPlaceResult& event) {
    using enum RestartInPlaceResult::Outcome;
    if (event.outcome == started) {
        turn.due(turn.policy().suspect);
        return turn.say(
            fmt::format("{} restarted in place, waiting for its checks", turn.s.old_server));
    }
    if (event.outcome == touched) {
        turn.s.data_gone = true;
        return enterDecide(
            turn, fmt::format("not restarted in place, its data is not as it was: {}", event.text));
    }
    enterDecide(turn, fmt::format("restart in place failed: {}", event.text));
}

void suspectTick(Turn& turn, const Tick&) {
    if (turn.deadlinePassed() && turn.s.confirmed)
        return enterDecide(turn,
                           turn.s.restarted
                               ? "restarted in place, but its checks did not become good in time"
                               : "confirmed, and still down");
    if (turn.deadlinePassed()) {
        const auto text = fmt::format(
            "suspect for {} s without a second witness ({}): it gets no traffic until its "
            "checks are good; `regrow recover {}/{}` replaces it",
            turn.policy().suspect / std::chrono::seconds(1), turn.s.evidence.back(), turn.s.pool,
            turn.s.backend);
        turn.s.ejected = true;
        turn.tell(Action::notify, text, true);
        return backToSteady(turn, text);
    }
    if (!turn.retryDue()) return;
    turn.s.retry_at.reset();
    if (turn.s.confirmed) return;
    if (!turn.context.no_traffic)
        turn.s.retry_at = turn.now + std::chrono::seconds(1);
    else
        confirm(turn, fmt::format("{}, for twice as long, and no traffic that could say otherwise",
                                  turn.s.evidence.back()));
}

void suspectCancel(Turn& turn, const Cancel& event) {
    cancelNow(turn, event);
}

void cancelNow(Turn& turn, const Cancel& event) {
    turn.s.actor = event.actor;
    releaseSpare(turn, "recovery cancelled");
    finish(turn, State::cancelled, fmt::format("cancelled by {}", event.actor));
}

}  // namespace regrow::recovery
