#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/clock.h"

// Correlated failure: when at least two backends and at least half of a pool die within seconds,
// the cause is rarely the backends (a switch, a shared database, a bad deployment), and replacing
// them one by one spends every spare on a cause that is still there. Then only one recovery, the
// canary, may pass the gate; its success ends the panic, as does that of any that was under way
// already, and an operator. One value per pool,
// pure, control loop only. Not journalled: after a restart the deaths are observed anew.
namespace regrow::recovery {

struct PanicPolicy {
    Duration window = std::chrono::seconds(10);        // "within seconds"
    Duration canary_after = std::chrono::seconds(10);  // of panic, before the canary may try
    Duration calm = std::chrono::minutes(5);  // without a new death; then the panic is over
};

struct Panic {
    std::map<std::string, Instant> deaths;  // backends that are down now, since when
    std::optional<Instant> since;           // panicking
    std::optional<Instant> last_death;
    std::string canary;  // backend whose recovery is the canary

    // `backends`: size of the pool.
    void died(const std::string& backend, size_t backends, const PanicPolicy& policy, Instant now);
    void returned(const std::string& backend);
    // A recovery of `backend` reached protect (good) or ended otherwise.
    void recoveryEnded(const std::string& backend, bool good);
    void overridden();  // an operator says: go on
    void tick(const PanicPolicy& policy, Instant now);

    bool panicking() const { return since.has_value(); }
    // Whether the gate must stop this backend's recovery. The first to ask after canary_after
    // becomes the canary.
    bool stops(const std::string& backend, const PanicPolicy& policy, Instant now);
};

}  // namespace regrow::recovery
