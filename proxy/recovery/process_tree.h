#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/child_process.h"
#include "base/event_loop.h"
#include "proxy/recovery/operation.h"
#include "proxy/recovery/process_table.h"

// Every process of a server, however far it went.
//
// A process belongs to the tree when it is the leader; is in the leader's session or process group,
// or in one that a member leads; descends from a member; or carries the server's
// REGROW_SERVER_TOKEN in its environment. Each way alone loses somebody: PostgreSQL's children make
// groups of their own and overwrite their environment, php's workers outlive their parent, `env -i`
// drops the token. Members once seen are remembered, so that a grandchild is still theirs after its
// parent died and init took it over. (A cgroup would say all of it at once, but a delegated one is
// there only under systemd.)
//
// A pid may have been reused. A member is (pid, start time); a session counts as the leader's only
// while no other process leads it and nobody in it carries another server's token; nothing older
// than the leader is ever a member. This process itself and init never are.
namespace regrow::recovery {

struct TreeId {
    std::optional<ProcessId>
        leader;         // may be long gone; from an earlier boot it counts for nothing
    std::string token;  // value of REGROW_SERVER_TOKEN; empty: none
};

// Reads /proc; costs about 20 µs a process of this machine. Any one thread.
class ProcessTree {
  public:
    explicit ProcessTree(TreeId id);

    // Those alive now, the leader first. Zombies are not alive, unless threads of theirs still run.
    const std::vector<ProcessInfo>& scan();
    // To every member of the last scan that is still the same process. Returns how many were sent
    // it.
    size_t signal(int signal_number) const;
    const std::vector<ProcessInfo>& members() const { return members_; }

    size_t seen() const { return known_.size(); }  // distinct processes, ever

  private:
    using Table = std::unordered_map<pid_t, ProcStat>;
    bool belongs(const ProcessInfo& process, const Table& table);
    bool ledByMember(pid_t leader, const Table& table) const;
    bool isKnown(const ProcessInfo& process) const;
    // The token in its environment; nothing when it has none.
    const std::optional<std::string>& tokenOf(const ProcessInfo& process);

    TreeId id_;
    std::map<pid_t, uint64_t> known_;  // pid to start time, of all members ever seen
    struct Token {
        uint64_t start_ticks = 0;
        std::optional<std::string> value;
    };
    std::map<pid_t, Token> tokens_;  // of those looked into: reading environments is the dear part
    std::vector<ProcessInfo> members_;
};

struct KillReport {
    size_t killed = 0;              // distinct processes that were seen and are gone
    std::vector<ProcessInfo> left;  // empty: verified gone
    Duration took{};
    bool empty() const { return left.empty(); }
    std::string text()
        const;  // "3 processes ended" | "still there: 4711 postgres (D: waits in the kernel)"
};

// Ends a tree. With a grace, SIGTERM to all (and SIGCONT, or a stopped one would never hear it) and
// only after it SIGKILL. Before SIGKILL everybody is stopped until a scan finds nobody new: a tree
// that forks faster than one scans cannot get away. Then SIGKILL and scans until two in a row are
// empty, or `deadline` (from the SIGKILL on) has passed. Control loop only.
class TreeKill final : public Operation {
  public:
    using OnEnd = std::move_only_function<void(KillReport)>;
    TreeKill(EventLoop& loop, TreeId id, Duration grace, Duration deadline, OnEnd on_end);
    ~TreeKill() override;
    void killNow();  // ends the grace

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

// The same for where there is no loop to wait on (cleaning up before exit): blocks until done.
KillReport killTree(const TreeId& id, Duration grace, Duration deadline);

}  // namespace regrow::recovery
