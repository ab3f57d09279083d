#include "proxy/recovery/machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "proxy/recovery/machine_turn.h"
#include "proxy/recovery/table.h"

namespace regrow::recovery {
namespace {

constexpr size_t kStepTimes =
    64;  // a recovery that moves more often than this is no longer read step by step

Duration fullDeadline(const RecoveryState& state, const Policy& policy) {
    switch (state.state) {
        case State::suspect: return policy.suspect;
        case State::decide: return policy.decide;
        case State::fence: return policy.fence;
        case State::choose: return policy.choose;
        case State::restore: return policy.stall;
        case State::verify: return policy.verify;
        case State::start: return policy.start;
        case State::warm: return policy.warm;
        case State::protect: return policy.protect;
        default: return {};
    }
}

// Which command an answer belongs to, and takes it off the list when nothing more follows. Nothing:
// it is stale.
std::optional<Action> takeAnswer(RecoveryState& state, const Event& event) {
    const auto pending = std::ranges::find(state.pending, event.step, &Pending::step);
    if (pending == state.pending.end() || !answers(event.body, pending->action))
        return std::nullopt;
    const Action action = pending->action;
    if (isFinal(event.body)) state.pending.erase(pending);
    return action;
}

}  // namespace

void Turn::enter(State state, std::string reason, std::optional<Duration> deadline) {
    if (s.steps.size() < kStepTimes && s.state != State::steady)
        s.steps.push_back({s.state, now - s.entered});
    say(fmt::format("{} → {}: {}", name(s.state), name(state), reason));
    std::erase_if(s.pending, [&](const Pending& p) {
        return !(p.action == Action::watch_checks && state == State::warm);
    });
    s.state = state;
    s.held = HeldReason::none;
    s.reason = std::move(reason);
    s.entered = now;
    s.deadline.reset();
    if (deadline) due(*deadline);
    s.retry_at.reset();
    s.tries = 0;
}

Command command(const RecoveryState& state, Action action, uint32_t step) {
    return Command{.action = action,
                   .recovery = state.id,
                   .epoch = state.epoch,
                   .step = step,
                   .pool = state.pool,
                   .backend = state.backend,
                   .old_server = state.old_server,
                   .spare = state.spare,
                   .lineage = state.lineage,
                   .snapshot = state.snapshot,
                   .timeout = {},
                   .text = {},
                   .alarm = false};
}

void Turn::ask(Action action, Duration timeout) {
    drop(action);
    commands.push_back(command(s, action, s.next_step));
    commands.back().timeout = timeout;
    s.pending.push_back({action, s.next_step++});
}

void Turn::tell(Action action, std::string text, bool alarm) {
    commands.push_back(command(s, action, s.next_step++));
    commands.back().text = std::move(text);
    commands.back().alarm = alarm;
}

bool Turn::awaits(Action action) const {
    return std::ranges::find(s.pending, action, &Pending::action) != s.pending.end();
}

void Turn::drop(Action action) {
    std::erase_if(s.pending, [&](const Pending& p) { return p.action == action; });
}

void Turn::say(const std::string& text) {
    if (!note.empty()) note += "; ";
    note += text;
}

RecoveryState begin(std::string id, std::string pool, std::string backend, std::string server,
                    uint64_t epoch, Instant now) {
    RecoveryState state;
    state.lineage = id;
    state.id = std::move(id);
    state.pool = std::move(pool);
    state.backend = std::move(backend);
    state.from = server;
    state.old_server = std::move(server);
    state.old_epoch = state.epoch = epoch;
    state.entered = state.died_at = state.down_since = now;
    return state;
}

StepResult step(const RecoveryState& state, const Event& event, const Context& context,
                Instant now) {
    Turn turn{.s = state, .context = context, .now = now, .commands = {}, .note = {}};
    if (isAnswer(event.body)) {
        const auto action = takeAnswer(turn.s, event);
        if (!action) return {state, {}, false, {}};
        turn.answered = *action;
    }
    table().at(state.state, event.body)(turn, event.body);
    if (!turn.changed)
        return {std::move(turn.s), std::move(turn.commands), false, std::move(turn.note)};
    const bool differs = turn.s != state;
    return {std::move(turn.s), std::move(turn.commands), differs, std::move(turn.note)};
}

StepResult resume(const RecoveryState& state, const Context& context, Instant now) {
    StepResult result{state, {}, false, {}};
    if (terminal(state.state)) {
        if (state.state == State::done && context.policy.after_hook && !state.reinstating)
            result.commands.push_back(command(state, Action::run_after_hook, state.next_step));
        result.commands.push_back(command(state, Action::end_recovery, state.next_step));
        return result;
    }
    for (const auto& pending : state.pending) {
        result.commands.push_back(command(state, pending.action, pending.step));
        result.commands.back().timeout = fullDeadline(state, context.policy);
    }
    if (!state.pending.empty() && state.deadline) {
        const Instant least = now + fullDeadline(state, context.policy) / 2;
        result.state.deadline = std::max(*state.deadline, least);
        result.must_journal = result.state != state;
    }
    if (state.state != State::steady)
        result.note = fmt::format("the proxy started again: going on in {}", name(state.state));
    return result;
}

std::optional<Instant> wakeAt(const RecoveryState& state) {
    std::optional<Instant> wake = state.deadline;
    if (state.retry_at && (!wake || *state.retry_at < *wake)) wake = state.retry_at;
    return terminal(state.state) ? std::nullopt : wake;
}

bool terminal(State state) {
    return state == State::steady || state == State::done || state == State::failed ||
           state == State::cancelled;
}

bool fenced(const RecoveryState& state) {
    return state.gate_passed && state.epoch_durable && !state.serving_at;
}

Result<> mayCancel(const RecoveryState& state) {
    if (terminal(state.state))
        return fail(Code::refused, Source::client,
                    fmt::format("recovery {} has ended ({})", state.id, name(state.state)));
    if (state.state == State::warm || state.state == State::protect || state.reinstating)
        return fail(Code::refused, Source::client,
                    fmt::format("recovery {} cannot be cancelled any more: a server has been given "
                                "the place, and its "
                                "data is the newest; use `regrow drain` to take it out",
                                state.id));
    return {};
}

Result<> mayApprove(const RecoveryState& state) {
    if (state.state != State::held)
        return fail(Code::refused, Source::client,
                    fmt::format("recovery {} waits for nobody's approval: it is in {}", state.id,
                                name(state.state)));
    switch (state.held) {
        case HeldReason::paused:
            return fail(Code::refused, Source::client,
                        "recoveries are paused: `regrow resume` first");
        case HeldReason::maintenance:
            return fail(Code::refused, Source::client,
                        fmt::format("{}/{} is in maintenance: `regrow undrain` first", state.pool,
                                    state.backend));
        case HeldReason::no_spare:
            return fail(
                Code::refused, Source::client,
                fmt::format(
                    "pool {} has no free spare: release or add one; approval cannot replace it",
                    state.pool));
        case HeldReason::repository:
        case HeldReason::journal:
            return fail(Code::refused, Source::client,
                        fmt::format("approval cannot help: {}", state.reason));
        default: return {};
    }
}

void finish(Turn& turn, State terminal_state, std::string reason) {
    if (terminal_state == State::done && turn.policy().after_hook && !turn.s.reinstating)
        turn.tell(Action::run_after_hook);
    turn.enter(terminal_state, reason, std::nullopt);
    // Nobody fills the place any more, and the server that did is kept for a person, or for the
    // next recovery, which may still rescue its disk.
    if (terminal_state != State::done && turn.s.gate_passed && !turn.s.old_server.empty())
        turn.tell(Action::quarantine_old,
                  fmt::format("fenced by recovery {}, which {}", turn.s.id,
                              terminal_state == State::failed ? "failed" : "was cancelled"));
    turn.tell(Action::notify, fmt::format("{}: {}", resultName(turn.s), reason),
              terminal_state != State::done);
    turn.tell(Action::end_recovery, std::move(reason));
}

}  // namespace regrow::recovery
