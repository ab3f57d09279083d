#include "health/health_state.h"

namespace regrow::health {

HealthPolicy policyOf(const conf::Pool& pool, const conf::Server& server) {
    HealthPolicy policy;
    policy.checks.clear();
    for (const auto& check : pool.checks)
        policy.checks.push_back({check.rise, check.fall, check.every});
    if (policy.checks.empty()) policy.checks.emplace_back();
    policy.errors_in_a_row = pool.observe.on ? pool.observe.errors_in_a_row : 0;
    policy.supervised = server.service.supervised();
    return policy;
}

}  // namespace regrow::health
