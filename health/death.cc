#include <fmt/core.h>

#include "health/health_state.h"

namespace regrow::health {
namespace {

Duration window(const CheckPolicy& check, int times) {
    return check.every * check.fall * times;
}

// Traffic went unanswered about when the checks did, not in some trouble long over.
bool trafficAgrees(const HealthState& state, const CheckPolicy& check) {
    return state.traffic_no_answers > 0 &&
           state.traffic_no_answer_at + window(check, 1) >= state.no_answer_since;
}

std::string describe(const CheckState& check) {
    return fmt::format("{} checks without an answer: {}", check.no_answers, check.text);
}

}  // namespace

std::optional<Death> confirmedDead(const HealthState& state, const HealthPolicy& policy,
                                   Instant now) {
    if (state.exited)
        return Death{EvidenceKind::process_exit, true, state.since,
                     "process exited: " + state.exit_text};
    for (size_t i = 0; i < state.checks.size() && i < policy.checks.size(); ++i) {
        const CheckState& check = state.checks[i];
        const CheckPolicy& limits = policy.checks[i];
        const Instant since = state.no_answer_since;
        if (check.no_answers >= limits.fall && trafficAgrees(state, limits))
            return Death{EvidenceKind::check_no_answer, false, since,
                         fmt::format("{}; {} requests without an answer: {}", describe(check),
                                     state.traffic_no_answers, state.traffic_text)};
        if (state.long_silence && check.no_answers >= 2 * limits.fall &&
            now - since >= window(limits, 2))
            return Death{
                EvidenceKind::check_no_answer, false, since,
                describe(check) + "; no traffic says otherwise, and no patience got an answer"};
    }
    return std::nullopt;
}

}  // namespace regrow::health
