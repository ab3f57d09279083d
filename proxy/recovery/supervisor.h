#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "base/event_loop.h"
#include "conf/config.h"
#include "proxy/recovery/process_tree.h"

// Servers as processes: starts, watches, stops and kills them.
//
// Under `service.run` a server is a child in a session of its own whose output goes to a file (a
// pipe would kill it later, when we are gone). It survives us and is adopted after a restart. It
// executes only after its identity was made durable, so there is no moment at which a server runs
// that nobody knows of; if we die before that, it exits unexecuted. Under
// `service.start/stop/status` it is somebody else's: the actions are run with deadlines, and only
// `status` is believed.
//
// Every server carries in its environment REGROW_SERVER=POOL/NAME and
// REGROW_SERVER_TOKEN=INSTANCE:POOL/NAME, where INSTANCE is random and kept in state_dir/instance:
// descendants that left the session are found by it, also after we lost their leader's pid.
//
// Control loop only. Destroying the supervisor leaves the servers running; its callbacks must not
// destroy it.
namespace regrow::recovery {

struct ServerSpec {
    std::string key;  // POOL/NAME, of the server (not of the place it fills)
    Address address;
    std::string data;
    conf::Service service;
};

class Supervisor {
  public:
    // The server's leader ended. The status is known for our own children only, not for adopted
    // ones. Its other processes may still be there: kill() before starting anything on its data.
    using OnExit =
        std::function<void(const std::string& server, const ProcessId& process,
                           const std::optional<ExitStatus>& status, const std::string& log_tail)>;
    // Makes the identity durable (journal, fsync) before it returns. An error ends the start,
    // unexecuted.
    using Persist = std::move_only_function<Result<>(const ProcessId& process)>;

    struct Limits {
        Duration action = std::chrono::seconds(30);  // one start, stop or status action
        Duration settle = std::chrono::seconds(30);  // until `status` agrees with the action
        Duration status_every = std::chrono::milliseconds(200);
        Duration kill = std::chrono::seconds(5);      // from SIGKILL until the tree must be empty
        Duration executes = std::chrono::seconds(5);  // from the release of the gate until exec
    };

    // Reads or creates state_dir/instance. The directory must exist.
    static Result<std::unique_ptr<Supervisor>> create(EventLoop& loop, std::string state_dir,
                                                      OnExit on_exit, Limits limits);
    static Result<std::unique_ptr<Supervisor>> create(EventLoop& loop, std::string state_dir,
                                                      OnExit on_exit) {
        return create(loop, std::move(state_dir), std::move(on_exit), Limits{});
    }
    ~Supervisor();

    // on_result is called once, from the loop: once the program executes (a supervised server; it
    // may still fail a moment later: on_exit), or `status` says running (a foreign one; its
    // ProcessId has pid 0). `epoch` goes into the environment as REGROW_EPOCH. Errors name what is
    // in the way: a taken address with its owner, a program that cannot be executed, a directory, a
    // user.
    void start(const ServerSpec& server, uint64_t epoch, Persist persist,
               OnDone<ProcessId> on_result);

    // Watches a server that an earlier run of ours started. False: that process is gone, or is
    // another one by now (no on_exit follows); leftovers of it are still found by kill().
    bool adopt(const ServerSpec& server, const ProcessId& process);

    // Both end with a success only when no process of the server is left (or, foreign: when
    // `status` says so after the `stop` action), and else say who is left. on_exit is called too.
    // Killing during a stop ends the stop's patience; both callbacks are called. A start under way
    // is cancelled. Sentences in the result: what was found and ended.
    void stop(const ServerSpec& server, Duration grace, OnDone<std::string> on_done);
    void kill(const ServerSpec& server, OnDone<std::string> on_done);

    // Ends the watching of a server that configuration no longer names; it goes on running.
    void forget(const std::string& server);

    bool running(const std::string& server) const;  // its leader, as far as pidfd has told
    std::optional<ProcessId> process(const std::string& server) const;
    // service.log, else state_dir/logs/NAME.log: servers of two pools with one name share a file
    // unless one has its own.
    std::string logPath(const ServerSpec& server) const;
    // The last lines, for messages and the dashboard; at most `bytes`.
    std::string logTail(const ServerSpec& server, size_t bytes = 2048) const;
    TreeId tree(const std::string& server) const;

  private:
    struct Impl;
    explicit Supervisor(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;
};

}  // namespace regrow::recovery
