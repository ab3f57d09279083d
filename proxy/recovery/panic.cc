#include "proxy/recovery/panic.h"

#include <algorithm>

namespace regrow::recovery {

void Panic::died(const std::string& backend, size_t backends, const PanicPolicy& policy,
                 Instant now) {
    deaths.try_emplace(backend, now);
    last_death = now;
    const auto recent = static_cast<size_t>(std::ranges::count_if(
        deaths, [&](const auto& death) { return now - death.second < policy.window; }));
    if (recent >= 2 && recent * 2 >= backends && !since) since = now;
}

void Panic::returned(const std::string& backend) {
    deaths.erase(backend);
    if (deaths.empty()) overridden();
}

void Panic::recoveryEnded(const std::string& backend, bool good) {
    deaths.erase(backend);
    // What passed the gate just before the panic shows as well as the canary that the cause is
    // gone.
    if (good && since) return overridden();
    if (backend != canary) return;
    canary.clear();
    if (since)
        since =
            last_death;  // the next canary waits as long as the first did, from the last death on
}

void Panic::overridden() {
    since.reset();
    canary.clear();
}

void Panic::tick(const PanicPolicy& policy, Instant now) {
    if (since && last_death && canary.empty() && now - *last_death >= policy.calm) overridden();
}

bool Panic::stops(const std::string& backend, const PanicPolicy& policy, Instant now) {
    if (!since || backend == canary) return false;
    if (!canary.empty() || now - *since < policy.canary_after) return true;
    canary = backend;
    return false;
}

}  // namespace regrow::recovery
