#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"

// Starting programs. Between fork and exec the child does only async-signal-safe work; nothing of
// us goes on in a fork.
namespace regrow {

struct SpawnOptions {
    std::vector<std::string> argv;  // argv[0]: a path, or a name looked up in PATH
    std::vector<std::string>
        environment;               // "NAME=value", added to (and winning over) our own environment
    std::string directory;         // empty: ours
    std::string user;              // empty: stay; else setgroups, setgid, setuid to this user
    bool new_session = false;      // setsid: own session and process group
    bool die_with_parent = false;  // PDEATHSIG SIGKILL
    bool gated =
        false;  // exec only after ChildProcess::release(); if we die first, it exits unexecuted
    bool pipe_stdout = false;  // else: `output`, else /dev/null
    bool pipe_stderr = false;
    bool inherit_output = false;          // stdout and stderr as ours, for verbs a person started
    std::string output;                   // file that both streams append to (created 0600)
    size_t line_limit = size_t{1} << 20;  // ChildRun: longer lines are cut there
};

// Identity that survives pid reuse: start time is field 22 of /proc/PID/stat in clock ticks since
// boot.
struct ProcessId {
    pid_t pid = 0;
    uint64_t start_ticks = 0;
    std::string boot_id;
    friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

struct ChildProcess {
    pid_t pid = 0;
    UniqueFd pidfd;        // readable once the process has exited
    UniqueFd stdout_pipe;  // non-blocking, when asked for
    UniqueFd stderr_pipe;
    UniqueFd gate;
    // Of a gated child, non-blocking: ends empty once it executes, or holds the errno (an int) of
    // what failed.
    UniqueFd exec_status;

    void release();  // lets a gated child exec
};

// Errors of exec itself (no such program, permission) are returned here, except for a gated child:
// see exec_status; it also says why in its output and exits 127.
Result<ChildProcess> spawn(const SpawnOptions& options);

// Nothing when no such process. Fails when /proc cannot be read.
std::optional<ProcessId> identify(pid_t pid);
// A pidfd for the very process `id` names, or nothing when that one is gone (whatever has its pid
// now).
std::optional<UniqueFd> adopt(const ProcessId& id);
std::string bootId();

struct ExitStatus {
    bool exited = true;  // false: killed by `signal`
    int code = 0;
    int signal = 0;
    bool timed_out = false;  // we killed it because its deadline passed

    bool ok() const { return exited && code == 0 && !timed_out; }
    std::string text() const;  // "exit 3", "killed by SIGKILL", "no answer within its deadline"
};

// Reaps a child of ours that has exited (after its pidfd became readable). Nothing for a process
// that is not our child.
std::optional<ExitStatus> reap(pid_t pid);

// One short-lived child on a loop: argv in, lines of standard output as they come, exit status at
// the end. Destroying it kills the child's process group. Control loop only.
class ChildRun {
  public:
    struct Outcome {
        ExitStatus status;
        std::string stderr_tail;  // the last 4 KiB
    };
    using OnLine = std::move_only_function<void(std::string_view line)>;
    using OnExit = std::move_only_function<void(Outcome)>;

    // The run always has a session of its own and dies with us. `on_exit` is called exactly once,
    // from the loop, never from within start(), and may destroy this ChildRun. Lines longer than
    // options.line_limit are cut there.
    static Result<std::unique_ptr<ChildRun>> start(EventLoop& loop, SpawnOptions options,
                                                   Duration deadline, OnLine on_line,
                                                   OnExit on_exit);
    ~ChildRun();
    // Extends the deadline: `deadline` from now. For work that reports progress.
    void extend(Duration deadline);
    pid_t pid() const;

  private:
    struct Impl;
    explicit ChildRun(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace regrow
