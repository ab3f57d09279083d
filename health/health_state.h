#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "conf/config.h"

// Whether one server lives, as a pure function: step(state, policy, event, now) gives the next
// state and, when the verdict changed, the record of why. One state for each server under watch; a
// new server gets a new state. What an operator wants (drain, maintenance) is another input
// elsewhere and never mixed in here.
//
//              fall failures of a check, process exit
//        ┌───────────────────────────────────────────────┐
//        │        errors_in_a_row                        ▼
//        up ────────────────────────▶ suspect ────────▶ down
//        ▲                               │   fall, exit  │
//        └───────────────────────────────┴───────────────┘
//           rise passes of every check, after the hold-down
//
// Suspect and down get no new requests; only checks bring a server back. Each check counts for
// itself and strictly: one opposite result starts its count anew. Down says nothing about death: a
// server that answers late or wrongly is down and alive. confirmedDead() is asked for that, and
// counts only what got no answer at all.
namespace regrow::health {

enum class Verdict { up, suspect, down };

enum class Outcome {
    pass,
    no_answer,   // refused, unreachable, or not one byte within the timeout
    bad_answer,  // it spoke: a status not expected, nonsense, half an answer
    failed,      // a command said no; that proves nothing about who answers
    not_run,     // our own trouble (out of descriptors): no result, counts for nothing
};

enum class EvidenceKind {
    process_exit,
    check_no_answer,
    check_bad_answer,
    traffic_no_answer,
    traffic_bad_answer
};

struct CheckPolicy {
    int rise = 2;
    int fall = 3;
    Duration every = std::chrono::seconds(1);
};

struct HealthPolicy {
    std::vector<CheckPolicy> checks = {
        CheckPolicy{}};       // never empty; indices are those of the events
    int errors_in_a_row = 3;  // 0: traffic ejects nobody
    bool supervised = false;  // under service.run: down until proven up
    // Leaving `up` within `stable` of coming up again doubles the time it is then held down, from
    // `first` to `most`; each further `stable` spent up halves it.
    Duration stable = std::chrono::seconds(30);
    Duration hold_down_first = std::chrono::seconds(1);
    Duration hold_down_most = std::chrono::seconds(60);
    Duration starting = std::chrono::seconds(30);  // so long a started server is probed fast
};
HealthPolicy policyOf(const conf::Pool& pool, const conf::Server& server);

struct CheckDone {
    size_t check = 0;  // index into HealthPolicy::checks; beyond it: ignored
    Outcome outcome = Outcome::pass;
    std::string text;  // "HTTP 503", "connection refused"
};
struct TrafficOk {};
struct TrafficAnswered {};  // bytes came with live traffic, in whatever order with its failures
struct TrafficFailed {
    bool no_answer = true;  // else it spoke: a 5xx, nonsense
    std::string text;
};
struct ProcessExited {
    std::string text;  // "killed by SIGKILL"
};
struct ProcessStarted {};
struct LongProbe {  // life_probe.h; pass: it answers, no_answer: silent all the while
    Outcome outcome = Outcome::pass;
    Instant started{};
    std::string text;
};
struct Tick {};  // at wakeAt()
using HealthEvent = std::variant<CheckDone, TrafficOk, TrafficAnswered, TrafficFailed,
                                 ProcessExited, ProcessStarted, LongProbe, Tick>;

// How one check stands.
struct CheckState {
    bool good = true;    // rose more recently than it fell
    int passes = 0;      // in a row
    int failures = 0;    // in a row
    int no_answers = 0;  // in a row, none of anything else from the server in between
    std::string text;    // of the last result
    friend bool operator==(const CheckState&, const CheckState&) = default;
};

struct HealthState {
    Verdict verdict = Verdict::up;
    Instant since{};     // of the verdict
    std::string reason;  // why: the last transition's
    std::vector<CheckState> checks;
    int traffic_errors = 0;          // in a row
    int traffic_no_answers = 0;      // in a row, none of anything else from the server in between
    Instant no_answer_since{};       // of the first of the checks' unanswered ones
    Instant traffic_no_answer_at{};  // of the last one
    std::string traffic_text;
    bool long_silence = false;  // a long probe heard nothing, and nothing else was heard since
    bool exited = false;        // its process is known to be gone
    std::string exit_text;
    bool starting = false;  // down or not yet up, and expected to come
    Instant starting_until{};
    bool came_up = false;  // `since` of up is a return, not the beginning
    Duration hold_down{};  // 0: none
    Instant hold_down_until{};
    friend bool operator==(const HealthState&, const HealthState&) = default;
};

// For the event log and `regrow why`.
struct Transition {
    Verdict from = Verdict::up;
    Verdict to = Verdict::up;
    std::string reason;    // "3 checks failed in a row", "process exited"
    std::string evidence;  // "HTTP 503", "killed by SIGKILL"
    EvidenceKind kind = EvidenceKind::check_no_answer;  // what weighed; meaningless for `to` up
};

struct StepResult {
    HealthState state;
    std::optional<Transition> transition;
    bool check_now = false;  // ask the server at once, do not wait for the next turn
};

HealthState initialState(const HealthPolicy& policy, Instant now);
StepResult step(HealthState state, const HealthPolicy& policy, const HealthEvent& event,
                Instant now);

// A reload changed the checks: verdict, exit and hold-down stay, counts begin anew.
HealthState adapt(HealthState state, const HealthPolicy& policy);

// Probed at the fast interval: somebody waits for this answer.
bool wantsFastProbe(const HealthState& state, Instant now);
// When a Tick could change something.
std::optional<Instant> wakeAt(const HealthState& state, const HealthPolicy& policy);

// Evidence that the server is gone, not slow or wrong.
struct Death {
    EvidenceKind kind = EvidenceKind::process_exit;
    bool proof = false;  // process exit: enough alone
    Instant since{};     // best estimate of when
    std::string text;
};
// By process exit alone; or by `fall` checks without any answer and traffic without one; or, when
// no traffic speaks, by the checks alone for twice as many and twice as long, and only when a long
// probe was silent as well: checks give up early and ask for one thing. Any answer at all, however
// late or wrong, to a check, a request or the long probe, ends it.
// Whether a long probe should be under way: silent so far, and not known to be slow or dead.
bool wantsLongProbe(const HealthState& state);
std::optional<Death> confirmedDead(const HealthState& state, const HealthPolicy& policy,
                                   Instant now);

std::string_view name(Verdict verdict);
std::string_view name(Outcome outcome);
std::string_view name(EvidenceKind kind);

}  // namespace regrow::health
