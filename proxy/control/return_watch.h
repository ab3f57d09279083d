#pragma once

#include <map>
#include <string>

#include "proxy/control/health_monitor.h"
#include "proxy/control/recovery_driver.h"
#include "proxy/control/registry.h"
#include "proxy/recovery/steps.h"

namespace regrow::control {

// Servers that were cut off and came back: their host booted, their network healed. Until something
// was started in its place, a server that passes its checks again and whose data carries the marker
// it had is offered to the recovery (OldReturned), which gives it its place back: it has every
// write that was acknowledged. What runs under service.run was ended by us and cannot return.
// Control loop only.
class ReturnWatch {
  public:
    ReturnWatch(Registry& registry, HealthMonitor& health, RecoveryDriver& driver,
                recovery::LocalSteps& steps)
        : registry_(registry), health_(health), driver_(driver), steps_(steps) {}
    // When its checks became good, and every few seconds after: a recovery may be able to take it
    // only later.
    void look(Place& place);
    void lookAll();

  private:
    const conf::Server* returned(const Place& place) const;
    void inspected(const recovery::BackendKey& key, const Result<recovery::InspectResult>& seen);

    Registry& registry_;
    HealthMonitor& health_;
    RecoveryDriver& driver_;
    recovery::LocalSteps& steps_;
    std::map<recovery::BackendKey, recovery::Handle> inspections_;
};

}  // namespace regrow::control
