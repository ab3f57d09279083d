#pragma once

#include <map>
#include <string>

#include "base/event_loop.h"
#include "proxy/control/backups.h"
#include "proxy/control/event_log.h"
#include "proxy/control/health_monitor.h"
#include "proxy/control/recovery_driver.h"
#include "proxy/control/registry.h"
#include "proxy/control/server_processes.h"
#include "proxy/control/views.h"
#include "proxy/recovery/fence.h"
#include "proxy/recovery/steps.h"

namespace regrow::control {

// The hands of the recovery driver on this host: does what a command says and answers with an
// event. Each action is idempotent by (recovery, epoch, step), because after a crash it is given
// again. What runs for a recovery is kept here and ends with abort_step or the recovery. Control
// loop only.
class RecoveryActions {
  public:
    struct Parts {
        EventLoop& loop;
        Registry& registry;
        EventLog& events;
        RecoveryDriver& driver;
        Backups& backups;
        HealthMonitor& health;
        ServerProcesses& servers;
        ViewPublisher& views;
        recovery::LocalSteps& steps;
    };
    explicit RecoveryActions(Parts parts) : p_(parts) {}

    void execute(Place& place, const recovery::Command& command);

  private:
    // What an action needs to answer later, when the place may be gone.
    struct Ask {
        recovery::BackendKey key;
        uint32_t step = 0;
    };
    void answer(const Ask& ask, recovery::EventBody body);
    void keep(const Ask& ask, recovery::Handle handle);  // the step's present operation
    Place* placeOf(const Ask& ask) { return p_.registry.place(ask.key); }

    void restartInPlace(Place& place, const recovery::Command& command);
    recovery::UntouchedRequest questionOf(const Place& place, const conf::Server& server,
                                          uint64_t epoch) const;
    void startAgain(const Ask& ask, const std::string& server);
    void listSnapshots(Place& place, const recovery::Command& command);
    void persistEpoch(Place& place, const recovery::Command& command);
    void publishFenced(Place& place, const recovery::Command& command);
    void stopOld(Place& place, const recovery::Command& command);
    void rescue(Place& place, const recovery::Command& command);
    void captureRescue(const Ask& ask, const recovery::Command& command);
    void claimSpare(Place& place, const recovery::Command& command);
    std::optional<std::string> takenMeanwhile(const Ask& ask, const std::string& name);
    void inspectSpare(const Ask& ask, std::vector<std::string> candidates, std::string refusals);
    void pin(Place& place, const recovery::Command& command);
    void restore(Place& place, const recovery::Command& command);
    void verifyTree(Place& place, const recovery::Command& command);
    void runHook(Place& place, const recovery::Command& command, const std::string& step,
                 const std::optional<conf::Hook>& hook);
    void activate(Place& place, const recovery::Command& command);
    void startService(Place& place, const recovery::Command& command);
    void startReady(const Ask& ask, const recovery::Command& command);
    void watchChecks(Place& place, const recovery::Command& command);
    void stopReplacement(Place& place, const recovery::Command& command);
    void reinstate(Place& place, const recovery::Command& command);
    void publishServing(Place& place, const recovery::Command& command);
    void releaseHeld(Place& place, const recovery::Command& command);
    void waitReleased(const Ask& ask);
    void ramp(Place& place, const recovery::Command& command);
    void takeFirstSnapshot(Place& place, const recovery::Command& command);
    void afterwards(
        Place& place,
        const recovery::Command& command);  // after hook and notify: nobody waits for them
    void end(Place& place);

    const conf::Server* server(const Place& place, const std::string& name) const;
    recovery::HookContext hookContext(const Place& place, const recovery::Command& command) const;

    Parts p_;
    std::map<recovery::BackendKey, std::map<uint32_t, recovery::Handle>> running_;
    std::map<recovery::BackendKey, std::map<uint32_t, Timer>> timers_;
    std::map<uint64_t, recovery::Handle> afterwards_;
    uint64_t next_afterwards_ = 1;
};

}  // namespace regrow::control
