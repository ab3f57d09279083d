#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>

#include "base/event_loop.h"
#include "proxy/control/event_log.h"
#include "proxy/control/registry.h"
#include "proxy/recovery/machine.h"

namespace regrow::control {

// Runs the recovery machine (proxy/recovery/machine.h) for every place: brings events in, makes
// each transition durable, then has its commands executed. Knows nothing of how a command is done.
//
//     handle(event): step() → journal.transition() → execute(commands) → … → handle(answer)
//
// Nothing is executed that was not journalled first; when the journal cannot be written the old
// state stays and the event is lost on purpose: evidence comes again, and answers are asked for
// again by resume(). Control loop only.
class RecoveryDriver {
  public:
    using Execute = std::function<void(Place&, const recovery::Command&)>;

    RecoveryDriver(EventLoop& loop, Registry& registry, EventLog& events);
    // Who executes commands. Set once, before the first event (it is constructed with a reference
    // to this).
    void onCommand(Execute execute) { execute_ = std::move(execute); }
    // A recovery has given the place a server and is over.
    void onDone(std::function<void(Place&)> done) { done_ = std::move(done); }

    // An event for the place's recovery; one that reports a death, or an operator's request, begins
    // one. `step`: of the command it answers, or 0. Never re-enters: an event that arrives while
    // another is handled waits for it.
    void handle(const recovery::BackendKey& key, recovery::EventBody body, uint32_t step = 0);
    // Something every gate looks at may have changed.
    void gateChanged();
    // After a restart: the places know their recoveries (load), then the commands that were under
    // way are given again.
    void load();
    void resumeAll();
    // Death as health reports it; also feeds panic.
    void died(Place& place, recovery::BackendDied death);
    // The server that fills the place is healthy (again).
    void returned(Place& place);

    recovery::Context contextOf(const Place& place);

  private:
    struct Waiting {
        recovery::BackendKey key;
        recovery::EventBody body;
        uint32_t step;
    };
    void drain();
    void handleOne(const Waiting& event);
    recovery::EventBody checked(const Place& place, const recovery::EventBody& body) const;
    std::optional<recovery::RecoveryState> stateFor(Place& place, const recovery::EventBody& body);
    bool makeDurable(Place& place, const recovery::RecoveryState& before,
                     const recovery::StepResult& result);
    void afterStep(Place& place, const recovery::RecoveryState& before,
                   const recovery::StepResult& result);
    bool executeAll(Place& place, const std::vector<recovery::Command>& commands);
    void finish(Place& place);
    void tell(const Place& place, const recovery::RecoveryState& state, const std::string& note);
    void armTimer(Place& place);

    EventLoop& loop_;
    Registry& registry_;
    EventLog& events_;
    Execute execute_;
    std::function<void(Place&)> done_;
    std::deque<Waiting> waiting_;
    bool handling_ = false;
    std::map<recovery::BackendKey, Timer> timers_;
};

// What a transition changes besides the recovery itself: server states, assignment, budget, flap
// history. Pure.
recovery::Transition transitionOf(const Registry& registry, const Place& place,
                                  const recovery::RecoveryState& before,
                                  const recovery::StepResult& result, Instant now);

}  // namespace regrow::control
