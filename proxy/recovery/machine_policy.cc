#include "proxy/recovery/machine_policy.h"

#include <algorithm>

namespace regrow::recovery {
namespace {

// A hook that is too slow is killed at its own timeout, and says so: that answer is waited for.
constexpr Duration kHookEnd = std::chrono::seconds(8);

Mode modeOf(conf::RecoveryMode mode) {
    switch (mode) {
        case conf::RecoveryMode::automatic: return Mode::automatic;
        case conf::RecoveryMode::approve: return Mode::approve;
        case conf::RecoveryMode::off: return Mode::off;
    }
    return Mode::off;
}

// The slowest check from the first to the rise-th good one, or to the fall-th bad one.
Duration toRise(const conf::Pool& pool) {
    Duration longest{};
    for (const auto& check : pool.checks)
        longest = std::max(longest, (check.every + check.timeout) * check.rise);
    return longest;
}
Duration toFall(const conf::Pool& pool) {
    Duration longest{};
    for (const auto& check : pool.checks) longest = std::max(longest, check.every * check.fall);
    return longest;
}

}  // namespace

Policy policyFor(const conf::Pool& pool, const conf::Service& service) {
    const auto& recovery = pool.recovery;
    Policy policy;
    policy.mode = modeOf(recovery.mode);
    policy.has_data = pool.data != conf::DataKind::none;
    policy.rescue = recovery.rescue;
    policy.unfenced_proceed = recovery.unfenced_proceed;
    policy.supervised = service.supervised();
    policy.verify_hook = recovery.verify.has_value();
    policy.prepare_hook = recovery.prepare.has_value();
    policy.after_hook = recovery.after.has_value();
    if (recovery.verify) policy.verify_hook_timeout = recovery.verify->timeout + kHookEnd;
    if (recovery.prepare) policy.prepare_hook_timeout = recovery.prepare->timeout + kHookEnd;
    policy.confirm_alone = toFall(pool);  // fall checks have failed already: twice as long in all
    policy.suspect = std::max(policy.suspect, toRise(pool) * 2);
    policy.start += toRise(pool);
    policy.warm += pool.slow_start;
    return policy;
}

}  // namespace regrow::recovery
