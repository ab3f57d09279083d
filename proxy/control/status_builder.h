#pragma once

#include "base/clock.h"
#include "proxy/control/backups.h"
#include "proxy/control/counters.h"
#include "proxy/control/health_monitor.h"
#include "proxy/control/latency_window.h"
#include "proxy/control/registry.h"
#include "proxy/control/status.h"

namespace regrow::control {

// The picture of everything, for the surfaces. Reads, never changes. Control loop only.
struct StatusSources {
    const Registry& registry;
    const Counters& counters;
    const LatencyWindow& latencies;
    const HealthMonitor& health;
    const Backups& backups;
    const recovery::Supervisor* supervisor;
    Instant now;
    Instant started;
    bool draining;
};
Status buildStatus(const StatusSources& sources);

// starting up suspect down draining maintenance restoring warming
std::string backendState(const Registry& registry, const Place& place);
SnapshotStatus snapshotStatus(const recovery::SnapshotInfo& snapshot);

}  // namespace regrow::control
