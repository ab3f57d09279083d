#pragma once

#include <string_view>

#include "proxy/recovery/machine.h"

// The members of the machine's values by name, for journal_fields.h. `R` is const when writing.
namespace regrow::recovery {

template <class E>
bool wordAmong(std::string_view text, size_t count, E& value) {
    for (size_t i = 0; i < count; i++)
        if (name(static_cast<E>(i)) == text) return value = static_cast<E>(i), true;
    return false;
}
inline bool wordFrom(std::string_view text, State& v) {
    return wordAmong(text, kStates, v);
}
inline bool wordFrom(std::string_view text, HeldReason& v) {
    return wordAmong(text, kHeldReasons, v);
}
inline bool wordFrom(std::string_view text, Action& v) {
    return wordAmong(text, kActions, v);
}

template <class V, class R>
    requires std::is_same_v<std::remove_const_t<R>, SnapshotRef>
void fields(V& visit, R& s) {
    visit("id", s.id);
    visit("epoch", s.epoch);
    visit("number", s.number);
    visit("captured", s.captured);
    visit("bytes", s.bytes);
    visit("proven", s.proven);
    visit("complete", s.complete);
    visit("suspicious", s.suspicious);
    visit("rescue", s.rescue);
}

template <class V, class R>
    requires std::is_same_v<std::remove_const_t<R>, StepTime>
void fields(V& visit, R& s) {
    visit("state", s.state);
    visit("took", s.took);
}

template <class V, class R>
    requires std::is_same_v<std::remove_const_t<R>, Pending>
void fields(V& visit, R& p) {
    visit("action", p.action);
    visit("step", p.step);
}

template <class V, class R>
    requires std::is_same_v<std::remove_const_t<R>, RecoveryState>
void fields(V& visit, R& s) {
    visit("id", s.id);
    visit("pool", s.pool);
    visit("backend", s.backend);
    visit("from", s.from);
    visit("old_server", s.old_server);
    visit("old_epoch", s.old_epoch);
    visit("epoch", s.epoch);
    visit("lineage", s.lineage);
    visit("state", s.state);
    visit("held", s.held);
    visit("held_from", s.held_from);
    visit("reason", s.reason);
    visit("entered", s.entered);
    visit("deadline", s.deadline);
    visit("retry_at", s.retry_at);
    visit("backoff", s.backoff);
    visit("alarmed", s.alarmed);
    visit("alarm_at", s.alarm_at);
    visit("down_since", s.down_since);
    visit("died_at", s.died_at);
    visit("died_wall", s.died_wall);
    visit("evidence", s.evidence);
    visit("evidence_kinds", s.evidence_kinds);
    visit("confirmed", s.confirmed);
    visit("exited", s.exited);
    visit("data_gone", s.data_gone);
    visit("restarted", s.restarted);
    visit("approved", s.approved);
    visit("gate_passed", s.gate_passed);
    visit("cancelling", s.cancelling);
    visit("ejected", s.ejected);
    visit("up_again", s.up_again);
    visit("requested", s.requested);
    visit("wanted_snapshot", s.wanted_snapshot);
    visit("approver", s.approver);
    visit("epoch_durable", s.epoch_durable);
    visit("workers_cut", s.workers_cut);
    visit("processes_gone", s.processes_gone);
    visit("old_intact", s.old_intact);
    visit("rescue_over", s.rescue_over);
    visit("rescue_until", s.rescue_until);
    visit("rescue_bytes", s.rescue_bytes);
    visit("rescued", s.rescued);
    visit("rescue_owed", s.rescue_owed);
    visit("rescue_tries", s.rescue_tries);
    visit("spare", s.spare);
    visit("spare_written", s.spare_written);
    visit("replacement_running", s.replacement_running);
    visit("served", s.served);
    visit("listed", s.listed);
    visit("candidates", s.candidates);
    visit("snapshot", s.snapshot);
    visit("tried", s.tried);
    visit("doubted", s.doubted);
    visit("trouble", s.trouble);
    visit("pin_failures", s.pin_failures);
    visit("prepared", s.prepared);
    visit("attempts", s.attempts);
    visit("tries", s.tries);
    visit("done_bytes", s.done_bytes);
    visit("total_bytes", s.total_bytes);
    visit("detected_at", s.detected_at);
    visit("serving_at", s.serving_at);
    visit("restore_took", s.restore_took);
    visit("lost_s", s.lost_s);
    visit("unprotected", s.unprotected);
    visit("reinstating", s.reinstating);
    visit("steps", s.steps);
    visit("pending", s.pending);
    visit("next_step", s.next_step);
    visit("actor", s.actor);
}

}  // namespace regrow::recovery
