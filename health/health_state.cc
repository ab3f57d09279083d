#include "health/health_state.h"

#include <fmt/core.h>

#include <algorithm>

namespace regrow::health {
namespace {

bool allProven(const HealthState& state, const HealthPolicy& policy) {
    for (size_t i = 0; i < state.checks.size(); ++i)
        if (!state.checks[i].good ||
            (state.verdict != Verdict::up && state.checks[i].passes < policy.checks[i].rise))
            return false;
    return true;
}

// One step of the machine, with the state it works on.
class Step {
  public:
    Step(HealthState state, const HealthPolicy& policy, Instant now) : policy_(policy), now_(now) {
        result_.state = std::move(state);
    }

    void take(const CheckDone& done);
    void take(const TrafficOk&);
    void take(const TrafficAnswered&) { answered(); }
    void take(const TrafficFailed& failed);
    void take(const ProcessExited& exited);
    void take(const ProcessStarted&);
    void take(const LongProbe& probe);
    void take(const Tick&) { maybeUp(); }

    StepResult result() && { return std::move(result_); }

  private:
    HealthState& state() { return result_.state; }
    void pass(CheckState& check, const CheckPolicy& policy);
    void fail(CheckState& check, const CheckPolicy& policy, const CheckDone& done);
    void maybeUp();
    void answered();
    void go(Verdict to, EvidenceKind kind, std::string reason, std::string evidence);
    void leaveUp();

    const HealthPolicy& policy_;
    Instant now_;
    StepResult result_;
};

// Any word from the server, right or wrong: it is not dead.
void Step::answered() {
    for (auto& check : state().checks) check.no_answers = 0;
    state().traffic_no_answers = 0;
    state().long_silence = false;
}

// Silence counts when the checks were silent for all of it.
void Step::take(const LongProbe& probe) {
    if (probe.outcome == Outcome::pass || probe.outcome == Outcome::bad_answer) return answered();
    if (probe.outcome == Outcome::no_answer && wantsLongProbe(state()))
        state().long_silence = state().no_answer_since <= probe.started;
}

void Step::take(const CheckDone& done) {
    if (done.check >= state().checks.size() || done.outcome == Outcome::not_run) return;
    // A result that was under way when the process ended, or somebody else on its port.
    if (state().exited && done.outcome == Outcome::pass) return;
    if (done.outcome == Outcome::pass || done.outcome == Outcome::bad_answer) answered();
    CheckState& check = state().checks[done.check];
    check.text = done.text;
    if (done.outcome == Outcome::pass)
        pass(check, policy_.checks[done.check]);
    else
        fail(check, policy_.checks[done.check], done);
}

void Step::pass(CheckState& check, const CheckPolicy& policy) {
    check.failures = 0;
    check.passes = std::min(check.passes + 1, policy.rise);
    if (check.passes >= policy.rise) check.good = true;
    maybeUp();
}

void Step::fail(CheckState& check, const CheckPolicy& policy, const CheckDone& done) {
    const bool silent = done.outcome == Outcome::no_answer;
    const bool first = std::all_of(state().checks.begin(), state().checks.end(),
                                   [](const CheckState& c) { return c.no_answers == 0; });
    if (silent && first) state().no_answer_since = now_;
    if (silent) ++check.no_answers;
    check.passes = 0;
    check.failures = std::min(check.failures + 1, 1'000'000);
    if (check.failures < policy.fall) return;
    check.good = false;
    if (state().verdict == Verdict::down) return;
    // It failed its checks, but said something in between: down, and alive.
    const bool mute = silent && check.no_answers >= policy.fall;
    go(Verdict::down, mute ? EvidenceKind::check_no_answer : EvidenceKind::check_bad_answer,
       policy.fall == 1 ? "a check failed" : fmt::format("{} checks failed in a row", policy.fall),
       done.text);
}

void Step::maybeUp() {
    if (state().verdict == Verdict::up || state().exited || now_ < state().hold_down_until ||
        !allProven(state(), policy_))
        return;
    go(Verdict::up, EvidenceKind::check_bad_answer, "checks pass", state().checks.front().text);
    state().came_up = true;
    state().starting = false;
    state().traffic_errors = 0;
}

void Step::take(const TrafficOk&) {
    answered();
    state().traffic_errors = 0;
}

void Step::take(const TrafficFailed& failed) {
    if (failed.no_answer) {
        ++state().traffic_no_answers;
        state().traffic_no_answer_at = now_;
    } else {
        answered();
    }
    state().traffic_text = failed.text;
    state().traffic_errors = std::min(state().traffic_errors + 1, 1'000'000);
    // The first failure already deserves a look: a dead server then is down before
    // `errors_in_a_row` requests met it.
    result_.check_now = state().verdict == Verdict::up;
    const bool eject =
        policy_.errors_in_a_row > 0 && state().traffic_errors >= policy_.errors_in_a_row;
    if (!eject || state().verdict != Verdict::up) return;
    for (auto& check : state().checks) check.passes = 0;
    go(Verdict::suspect,
       failed.no_answer ? EvidenceKind::traffic_no_answer : EvidenceKind::traffic_bad_answer,
       fmt::format("{} requests failed in a row", state().traffic_errors), failed.text);
}

void Step::take(const ProcessExited& exited) {
    state().exited = true;
    state().exit_text = exited.text;
    state().starting = false;
    for (auto& check : state().checks) check.good = false, check.passes = 0;
    if (state().verdict != Verdict::down)
        return go(Verdict::down, EvidenceKind::process_exit, "process exited", exited.text);
    state().reason = "process exited";
}

void Step::take(const ProcessStarted&) {
    state().exited = false;
    state().exit_text.clear();
    state().starting = true;
    state().starting_until = now_ + policy_.starting;
    state().traffic_errors = 0;
    answered();  // what was silent was its predecessor
    for (auto& check : state().checks) check = CheckState{.good = false, .text = {}};
    if (state().verdict != Verdict::down)
        go(Verdict::down, EvidenceKind::process_exit, "process started anew", "");
    else
        state().reason = "starting";
    result_.check_now = true;
}

void Step::go(Verdict to, EvidenceKind kind, std::string reason, std::string evidence) {
    // What requests bring on themselves is no flapping: checks speak of the server.
    if (state().verdict == Verdict::up && kind != EvidenceKind::traffic_bad_answer) leaveUp();
    result_.transition = Transition{state().verdict, to, reason, std::move(evidence), kind};
    state().verdict = to;
    state().since = now_;
    state().reason = std::move(reason);
    if (to == Verdict::suspect) result_.check_now = true;
}

void Step::leaveUp() {
    const Duration lasted = now_ - state().since;
    Duration& hold = state().hold_down;
    if (state().came_up && lasted < policy_.stable) {
        hold = std::clamp(hold * 2, policy_.hold_down_first, policy_.hold_down_most);
    } else {
        for (Duration spent = policy_.stable; spent <= lasted && hold > Duration{};
             spent += policy_.stable)
            hold /= 2;
        if (hold < policy_.hold_down_first) hold = Duration{};
    }
    state().hold_down_until = now_ + hold;
}

}  // namespace

HealthState initialState(const HealthPolicy& policy, Instant now) {
    HealthState state;
    state.verdict = policy.supervised ? Verdict::down : Verdict::up;
    state.since = now;
    state.reason = policy.supervised ? "starting" : "not checked yet";
    state.starting = policy.supervised;
    state.starting_until = now + policy.starting;
    state.checks.assign(policy.checks.size(), CheckState{.good = !policy.supervised, .text = {}});
    return state;
}

StepResult step(HealthState state, const HealthPolicy& policy, const HealthEvent& event,
                Instant now) {
    if (state.checks.size() != policy.checks.size()) state = adapt(std::move(state), policy);
    Step one(std::move(state), policy, now);
    std::visit([&](const auto& e) { one.take(e); }, event);
    return std::move(one).result();
}

HealthState adapt(HealthState state, const HealthPolicy& policy) {
    state.checks.assign(policy.checks.size(),
                        CheckState{.good = state.verdict != Verdict::down, .text = {}});
    state.traffic_no_answers = 0;
    state.long_silence = false;
    return state;
}

bool wantsLongProbe(const HealthState& state) {
    return !state.exited && !state.long_silence &&
           std::any_of(state.checks.begin(), state.checks.end(),
                       [](const CheckState& c) { return c.no_answers > 0; });
}

bool wantsFastProbe(const HealthState& state, Instant now) {
    if (state.exited) return false;
    if (state.verdict == Verdict::suspect || (state.starting && now < state.starting_until))
        return true;
    const bool up = state.verdict == Verdict::up;
    return std::any_of(state.checks.begin(), state.checks.end(), [&](const CheckState& c) {
        return up ? c.failures > 0 : c.passes > 0 && now >= state.hold_down_until;
    });
}

std::optional<Instant> wakeAt(const HealthState& state, const HealthPolicy& policy) {
    if (state.verdict == Verdict::up || state.exited || !allProven(state, policy))
        return std::nullopt;
    return state.hold_down_until;
}

std::string_view name(Verdict verdict) {
    switch (verdict) {
        case Verdict::up: return "up";
        case Verdict::suspect: return "suspect";
        case Verdict::down: return "down";
    }
    return "?";
}

std::string_view name(Outcome outcome) {
    switch (outcome) {
        case Outcome::pass: return "pass";
        case Outcome::no_answer: return "no_answer";
        case Outcome::bad_answer: return "bad_answer";
        case Outcome::failed: return "failed";
        case Outcome::not_run: return "not_run";
    }
    return "?";
}

std::string_view name(EvidenceKind kind) {
    switch (kind) {
        case EvidenceKind::process_exit: return "process_exit";
        case EvidenceKind::check_no_answer: return "check_no_answer";
        case EvidenceKind::check_bad_answer: return "check_bad_answer";
        case EvidenceKind::traffic_no_answer: return "traffic_no_answer";
        case EvidenceKind::traffic_bad_answer: return "traffic_bad_answer";
    }
    return "?";
}

}  // namespace regrow::health
