#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "base/event_loop.h"
#include "proxy/control/event_log.h"
#include "proxy/control/lineage_search.h"
#include "proxy/control/registry.h"
#include "proxy/recovery/steps.h"
#include "proxy/recovery/supervisor.h"

namespace regrow::control {

// Servers as the journal knows them: started with their identity journalled first, adopted after a
// restart, and only ever started on data that is provably theirs. Control loop only.
class ServerProcesses {
  public:
    struct Hooks {
        std::function<void(Place&, const std::string& text, WallTime when)>
            exited;  // the server of a place ended
        std::function<void(Place&, const std::string& why)>
            data_gone;  // it may not serve: data is not as it was
        std::function<void(Place&)> started;
        std::function<void(Place&)> reassigned;  // another server fills it than the file says
    };

    ServerProcesses(EventLoop& loop, Registry& registry, EventLog& events,
                    recovery::LocalSteps& steps);
    // Reads or creates state_dir/instance. Once, before anything else.
    Result<> open(const std::string& state_dir, Hooks hooks);

    // A death is no loss, only a start that failed: it never came up and no snapshot of it is
    // known, or it waits for its repository and was not started yet.
    bool nothingToRecover(const Place& place) const;

    // Adopts what runs, starts what should run and may. After a configuration was taken, and again
    // whenever a repository has answered; harmless to repeat.
    void bringUp();
    // Writes the marker of data that a backend has come up with for the first time, then calls
    // `marked`.
    void markFresh(Place& place, std::function<void()> marked);

    recovery::Supervisor& supervisor() { return *supervisor_; }
    const recovery::Supervisor& supervisor() const { return *supervisor_; }
    // Starts under supervision; the identity is journalled before the program executes.
    void start(const std::string& pool, const conf::Server& server, uint64_t epoch,
               recovery::OnDone<ProcessId> done);

  private:
    void bringUp(Place& place);
    void learnLineage(Place& place);
    void learned(Place& place, const std::optional<LineageFound>& newest);
    bool assign(Place& place, const LineageFound& newest);
    void bringUpAgain(Place& place);
    void startIfUntouched(Place& place, const conf::Server& server);
    void looked(Place& place, const std::string& repository,
                const Result<recovery::UntouchedResult>& result);
    void waitFor(Place& place, const std::string& repository, const Error& error);
    void notTrusted(Place& place, const std::string& server, const std::string& why);
    void startFresh(Place& place, const conf::Server& server);
    void startOf(Place& place, const conf::Server& server);
    void onExit(const std::string& server_key, const std::optional<ExitStatus>& status,
                const std::string& log_tail);
    void restartStateless(Place& place);
    bool mayJudge(const Place& place) const;
    bool everKnown(const Place& place) const;
    bool assignLineage(Place& place, const std::string& lineage, uint64_t epoch);
    void writeMarker(Place& place, std::function<void()> marked);
    void nowMarked(Place& place, const std::function<void()>& marked);
    void markerGone(Place& place);
    void cannotMark(Place& place, const std::string& why);

    EventLoop& loop_;
    Registry& registry_;
    EventLog& events_;
    recovery::LocalSteps& steps_;
    Hooks hooks_;
    std::unique_ptr<recovery::Supervisor> supervisor_;
    std::map<recovery::BackendKey, recovery::Handle> checks_;  // of the data, before a start
    std::map<recovery::BackendKey, Timer>
        restarts_;  // of servers that have nothing to recover from
    std::map<recovery::BackendKey, Duration> backoff_;
};

}  // namespace regrow::control
