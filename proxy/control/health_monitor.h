#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "health/check_scheduler.h"
#include "health/health_state.h"
#include "health/life_probe.h"
#include "proxy/control/event_log.h"
#include "proxy/control/registry.h"
#include "proxy/control/views.h"
#include "proxy/recovery/types.h"
#include "proxy/serve/worker_pool.h"

namespace regrow::control {

// Feeds each place's health (a pure machine of health/) with checks, live traffic and process
// exits, and passes on what follows from its verdicts: new views for the workers, evidence for
// recovery. Control loop only.
class HealthMonitor {
  public:
    struct Hooks {
        std::function<void(Place&, recovery::BackendDied)>
            died;  // a piece of evidence; none for slow or wrong answers
        std::function<void(Place&, const std::string&)>
            confirmed;                   // enough evidence that it is dead, not slow
        std::function<void(Place&)> up;  // its server serves, proven by checks; also the first time
        std::function<void(Place&)> down;  // it does not, for whatever reason
    };
    struct LastCheck {
        health::CheckResult result;
        WallTime at;
    };
    using OnReplacement = std::function<void(bool good, const std::string& text)>;

    HealthMonitor(EventLoop& loop, Registry& registry, EventLog& events, ViewPublisher& views);
    void setHooks(Hooks hooks) { hooks_ = std::move(hooks); }

    // After a configuration was taken: new places begin, those that are gone are forgotten.
    void configure();

    void serverStarting(Place& place);
    void serverExited(Place& place, const std::string& text);
    void observe(const std::vector<serve::Observation>& observations);

    // Checks go to `server`, which a recovery has just started; `told` hears when it became good
    // and whenever it is bad.
    void watchReplacement(Place& place, const conf::Server& server, OnReplacement told);
    // Back to the server that fills the place, if any.
    void stopWatching(Place& place);
    // The watched replacement now fills the place: its health goes on.
    void serverFillsPlace(Place& place);
    // Says again that the server which fills the place is dead, if it is: while a recovery watches
    // its replacement nobody else is told, and one that ends does nothing about it.
    void speakUp(Place& place);

    std::optional<LastCheck> lastCheck(const Place& place) const;
    // Its checks say that it serves; a server that others run is `up` before any of them ran.
    bool provenUp(const Place& place) const;

  private:
    struct Watch {
        health::HealthPolicy policy;
        std::string server;
        OnReplacement told;  // set while a recovery watches its replacement
        bool confirmed = false;
        bool proven = false;  // came up by its checks, not by the benefit of the doubt
        std::optional<LastCheck> last;
        uint64_t heard = 0;  // bytes from it with live traffic, as last looked at
        std::unique_ptr<health::LifeProbe> probe;
        Timer tick;
    };
    void begin(Place& place, const conf::Server& server, OnReplacement told = nullptr);
    bool feed(Place& place, const health::HealthEvent& event);  // true: the verdict changed
    void onTransition(Place& place, Watch& watch, const health::Transition& transition);
    void giveEvidence(Place& place, const health::Transition& transition);
    void check(const Place& place, const conf::Server& server);
    const conf::Server* watched(const Place& place) const;
    void lookForFirstProof(Place& place, Watch& watch);
    void lookForDeath(Place& place, Watch& watch);
    bool heardMore(const Place& place, Watch& watch);
    void lookLonger(Place& place, Watch& watch);
    void lookedLonger(const recovery::BackendKey& key, const health::LongProbe& result);
    void checkDone(const std::string& key, const health::CheckResult& result);
    void armTick(Place& place, Watch& watch);

    EventLoop& loop_;
    Registry& registry_;
    EventLog& events_;
    ViewPublisher& views_;
    Hooks hooks_;
    std::map<recovery::BackendKey, Watch> watches_;
    health::CheckScheduler scheduler_;
};

}  // namespace regrow::control
