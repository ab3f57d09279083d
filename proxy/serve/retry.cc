#include "proxy/serve/retry.h"

#include <algorithm>

namespace regrow::serve {
namespace {

Verdict unsent(const conf::Retry& rules, const Attempt& a) {
    if (a.trouble == Trouble::stale) return Verdict::same_again;
    if (a.trouble == Trouble::fenced) return a.hold ? Verdict::wait : Verdict::elsewhere;
    if (!rules.unsent || rules.attempts <= 1) return Verdict::answer;
    if (a.untried_backend) return Verdict::elsewhere;
    return a.hold ? Verdict::wait : Verdict::answer;
}

Verdict unanswered(const conf::Retry& rules, const Attempt& a) {
    if (rules.attempts <= 1) return Verdict::answer;
    const bool more = a.sends < rules.attempts && a.budget;
    if (a.untried_backend) return more ? Verdict::elsewhere : Verdict::answer;
    if (a.trouble == Trouble::no_first_byte)
        return Verdict::answer;  // the only one is slow, not gone
    if (!a.hold) return more ? Verdict::same_again : Verdict::answer;
    if (a.sends >= std::max(rules.attempts, kHeldSends)) return Verdict::answer;
    if (!a.failing) return Verdict::wait;
    return a.budget ? Verdict::same_again : Verdict::answer;
}

Verdict refused(const conf::Retry& rules, const Attempt& a) {
    if (!rules.unsent || rules.attempts <= 1) return Verdict::answer;
    if (a.untried_backend && (a.budget || !a.failing)) return Verdict::elsewhere;
    return unanswered(rules, a);
}

Verdict answered(const conf::Retry& rules, const Attempt& a) {
    const bool named = (a.status == 503 && rules.on_503) || (a.status >= 500 && rules.on_5xx);
    return named && a.untried_backend && a.sends < rules.attempts && a.budget ? Verdict::elsewhere
                                                                              : Verdict::answer;
}

}  // namespace

Verdict decide(const conf::Retry& rules, const Attempt& a) {
    if (!a.replayable) return Verdict::answer;
    if (!a.sent) return unsent(rules, a);
    if (a.trouble == Trouble::refused) return refused(rules, a);
    if (!a.idempotent) return Verdict::answer;
    switch (a.trouble) {
        case Trouble::stale: return Verdict::same_again;
        case Trouble::fenced: return a.hold ? Verdict::wait : Verdict::elsewhere;
        case Trouble::connect_failed:
        case Trouble::reset:
        case Trouble::no_first_byte:
            return rules.no_answer ? unanswered(rules, a) : Verdict::answer;
        case Trouble::status: return answered(rules, a);
        case Trouble::refused:
        case Trouble::bad_answer: break;
    }
    return Verdict::answer;
}

bool charged(const Attempt& a, Verdict verdict) {
    if (!a.sent || a.trouble == Trouble::stale || a.trouble == Trouble::fenced) return false;
    if (a.trouble == Trouble::refused && verdict == Verdict::elsewhere) return a.failing;
    return verdict == Verdict::elsewhere || verdict == Verdict::same_again;
}

}  // namespace regrow::serve
