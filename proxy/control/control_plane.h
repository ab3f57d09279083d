#pragma once

#include <memory>
#include <string>

#include "base/event_loop.h"
#include "conf/config.h"
#include "proxy/control/backups.h"
#include "proxy/control/counters.h"
#include "proxy/control/event_log.h"
#include "proxy/control/health_monitor.h"
#include "proxy/control/latency_window.h"
#include "proxy/control/names.h"
#include "proxy/control/recovery_actions.h"
#include "proxy/control/recovery_driver.h"
#include "proxy/control/registry.h"
#include "proxy/control/return_watch.h"
#include "proxy/control/server_processes.h"
#include "proxy/control/status.h"
#include "proxy/control/tls_contexts.h"
#include "proxy/control/views.h"
#include "proxy/recovery/journal.h"
#include "proxy/recovery/steps.h"
#include "proxy/serve/worker_pool.h"

namespace regrow::control {

// Everything that decides, wired together: the members, in their order, are the architecture.
//
//     journal ─ registry ─ events            what is remembered, what is, what happened
//     workers ← views ← health ← checks      requests, and who may get them
//     steps, servers, backups                the slow things, each in child processes
//     driver ⇄ actions                       recoveries: decided by a pure machine, done by hands
//
// Lives on the control loop, from before it runs until after it ended.
class ControlPlane final : public Control {
  public:
    struct Options {
        std::string binary = "/proc/self/exe";
        // Reads the configuration again; on failure the text of all problems.
        std::function<Result<std::shared_ptr<const conf::Config>>()> reload;
    };

    // Binds the listeners, opens the state, carries on what an earlier run had begun. Errors name
    // what is in the way.
    static Result<std::unique_ptr<ControlPlane>> start(
        EventLoop& loop, const Clock& clock, const std::shared_ptr<const conf::Config>& config,
        Options options);
    ~ControlPlane() override;

    Status status() const override;
    std::vector<Event> events(const std::string& pool, const std::string& backend,
                              uint64_t since) const override;
    std::vector<SnapshotStatus> snapshots() const override;
    Result<std::string> act(const std::string& verb, const std::string& pool,
                            const std::string& target, const std::string& snapshot,
                            const std::string& actor) override;
    Result<std::string> approve(const std::string& recovery, const std::string& actor) override;
    Result<std::string> cancel(const std::string& recovery, const std::string& actor) override;
    Result<std::string> pause(bool paused, const std::string& actor) override;
    Result<std::string> reload(const std::string& actor) override;
    std::shared_ptr<void> subscribe(std::function<void(const Event&)> listener) override;
    bool ready() const override;

    // No new connections; `done` when the last exchange ended or at the deadline. Servers go on
    // running.
    void drain(Duration deadline, std::move_only_function<void()> done);
    void reopenLogs();
    const conf::Config& config() const { return registry_.config(); }

  private:
    ControlPlane(EventLoop& loop, const Clock& clock, Options options,
                 std::unique_ptr<recovery::Journal> journal, const conf::Config& config);
    Result<> begin(const std::shared_ptr<const conf::Config>& config);
    Result<> openListeners(const conf::Config& config, TlsContexts tls);
    void applyTls();
    void take(std::shared_ptr<const conf::Config> config);
    void wire();
    void cameUp(Place& place);
    void wentDown(Place& place);
    void doubt(Place& place);
    bool hasData(const Place& place) const;
    void everyFiveSeconds();

    Result<std::string> actOnBackend(const std::string& verb, Place& place,
                                     const std::string& snapshot, const std::string& actor);
    Result<std::string> actOnServer(const std::string& verb, PoolState& pool,
                                    const std::string& server, const std::string& actor);
    Result<std::string> setFlags(Place& place, const recovery::BackendFlags& flags,
                                 const std::string& what, const std::string& actor);
    Result<std::string> recover(Place& place, const std::string& snapshot,
                                const std::string& actor);
    Place* byRecovery(const std::string& id);

    EventLoop& loop_;
    Options options_;
    Instant started_;
    std::unique_ptr<recovery::Journal> journal_;
    Registry registry_;
    TlsContexts tls_;
    EventLog events_;
    Counters counters_;
    LatencyWindow latencies_;
    recovery::LocalSteps steps_;
    ServerProcesses servers_;
    Backups backups_;
    std::unique_ptr<serve::WorkerPool>
        workers_;  // before views_ and health_, which speak to it, and gone after them
    ViewPublisher views_;
    HealthMonitor health_;
    RecoveryDriver driver_;
    RecoveryActions actions_;
    ReturnWatch returns_;
    Names names_;
    Timer periodic_;
    bool draining_ = false;
};

}  // namespace regrow::control
