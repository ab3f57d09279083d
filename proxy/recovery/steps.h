#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "proxy/recovery/hooks.h"
#include "proxy/recovery/operation.h"
#include "proxy/recovery/snapshot_info.h"

// The slow steps on this host. Each is a run of our own binary with one of its verbs and --json, in
// a session of its own, dead with us: what is slow cannot delay the control loop, what crashes
// crashes alone.
//
// A verb says on standard output, one JSON object a line:
// {"type":"progress","phase","done_bytes","total_bytes", "done_files","total_files"} as often as it
// likes and last {"type":"result",…} or {"type":"error","code","source", "retryable","message"};
// exit 0, 1 failed, 2 usage, 3 refused. What a child that keeps to none of it did is an error as
// well. Progress that moves extends its deadline; none for Limits::silence and it is killed:
// Code::timeout, retryable.
//
// Every step is idempotent by (recovery, epoch): after a crash of ours it is simply run again.
// Control loop only.
namespace regrow::recovery {

struct RepositoryRef {
    std::string path;
    std::string key_file;
};

struct Progress {
    std::string phase;
    uint64_t done_bytes = 0;
    uint64_t total_bytes = 0;
    uint64_t done_files = 0;
    uint64_t total_files = 0;
    friend bool operator==(const Progress&, const Progress&) = default;
    double fraction() const;  // 0 to 1; by bytes, by files where there are no bytes
};
using OnProgress = std::move_only_function<void(const Progress&)>;

struct CaptureRequest {
    RepositoryRef repository;
    std::string name;  // POOL/BACKEND
    std::string data;
    bool full = false;
    std::vector<std::string> exclude;
    uint64_t epoch = 0;
    std::string lineage;
    bool rescue = false;        // from a dead server's disk
    bool expect_marker = true;  // refuse data whose marker is not of this name and lineage
};
struct CaptureResult {
    bool unchanged = false;  // nothing was written; `snapshot` is the newest, which says the same
    SnapshotInfo snapshot;
    double took_ms = 0;
};

struct SnapshotListing {
    std::vector<SnapshotInfo> snapshots;  // oldest first
    size_t damaged = 0;                   // snapshots of whatever name that cannot be read
    RepositorySpace space;
};

struct RestoreRequest {
    RepositoryRef repository;
    std::string name;
    std::string snapshot;  // id
    std::string staging;   // see stagingPath()
    std::string recovery;
};
struct RestoreResult {
    std::string snapshot;
    uint64_t restored_bytes = 0;
    uint64_t files = 0;
    double took_ms = 0;
    bool resumed = false;
};

struct ActivateRequest {
    std::string staging;
    std::string data;
    std::string recovery;
    uint64_t epoch = 0;
    std::string backend;  // POOL/NAME of the place
    std::string lineage;
    std::string snapshot;
};
struct ActivateResult {
    std::string digest;
    std::string old;  // where the directory that was there before is now; empty: there was none
};

struct UntouchedRequest {
    RepositoryRef repository;
    std::string name;
    std::string data;
    WallTime exited_at;
    std::string lineage = {};  // with it, the marker must be of this lineage and epoch
    uint64_t epoch = 0;
};
struct UntouchedResult {
    bool untouched = false;
    std::vector<std::string> reasons;  // what speaks against it
};

struct VerifyTreeRequest {
    RepositoryRef repository;
    std::string name;
    std::string snapshot;  // id
    std::string staging;
};
struct VerifyTreeResult {
    std::string digest;  // of the tree as it was verified
};

// Whose data lies in a directory: before a spare is written to, before a restored server is
// started.
struct InspectRequest {
    std::string data;
    std::string backend;  // POOL/NAME of the place it is wanted for
};
struct InspectResult {
    bool usable =
        false;           // absent, empty, or marked as this backend's: may be replaced by a restore
    std::string reason;  // why not, and what to do
    std::string backend;  // of the marker; empty: there is none
    std::string lineage;
    uint64_t epoch = 0;
    std::string ready_recovery;  // of READY; empty: never restored
    uint64_t ready_epoch = 0;
};

struct RepositoryOpened {
    std::string id;
    bool created = false;
};

struct FreshRequest {
    std::string data;
    std::string backend;
    std::string lineage;
    uint64_t epoch = 0;
    // With it: refused when it knows snapshots of `backend`, which is then not new at all.
    std::optional<RepositoryRef> repository = std::nullopt;
};

// A server gets its place back at a higher epoch.
struct RaiseRequest {
    std::string data;
    std::string backend;
    std::string lineage;
    uint64_t epoch = 0;
};

struct PinRequest {
    RepositoryRef repository;
    std::string name;
    std::string snapshot;
    std::string recovery;
    Duration lifetime = std::chrono::hours(24);
};

// The directory beside `data` that a restore fills, on the same file system and so renamed in one
// step.
std::string stagingPath(const std::string& data, const std::string& recovery);

class LocalSteps {
  public:
    struct Limits {
        Duration silence = std::chrono::seconds(30);  // without progress
        Duration listing = std::chrono::seconds(30);
        Duration brief = std::chrono::seconds(30);  // untouched, fresh, pin
    };
    // `binary`: the program that has the verbs.
    explicit LocalSteps(EventLoop& loop, std::string binary = "/proc/self/exe")
        : LocalSteps(loop, std::move(binary), Limits{}) {}
    LocalSteps(EventLoop& loop, std::string binary, Limits limits);

    // Below everybody else in CPU and disk priority, except a rescue, which somebody waits for.
    Handle capture(const CaptureRequest& request, OnProgress on_progress,
                   OnDone<CaptureResult> on_done);
    Handle listSnapshots(const RepositoryRef& repository, const std::string& name,
                         OnDone<SnapshotListing> on_done);
    Handle restore(const RestoreRequest& request, OnProgress on_progress,
                   OnDone<RestoreResult> on_done);
    // Renames the old directory aside, the staging in, and writes READY last.
    Handle activate(const ActivateRequest& request, OnProgress on_progress,
                    OnDone<ActivateResult> on_done);
    Handle untouched(const UntouchedRequest& request, OnDone<UntouchedResult> on_done);
    // The exact set of files with their metadata, then the kind's own check.
    Handle verifyTree(const VerifyTreeRequest& request, OnProgress on_progress,
                      OnDone<VerifyTreeResult> on_done);
    Handle inspect(const InspectRequest& request, OnDone<InspectResult> on_done);
    // Opens it; makes it where nothing is, when `create`.
    Handle openRepository(const RepositoryRef& repository, bool create,
                          OnDone<RepositoryOpened> on_done);
    // Writes the first marker into data that a backend has just come up with.
    Handle fresh(const FreshRequest& request, OnDone<void> on_done);
    Handle raiseEpoch(const RaiseRequest& request, OnDone<void> on_done);
    // Keeps retention away from a snapshot while a recovery uses it; it expires by itself.
    Handle pin(const PinRequest& request, OnDone<void> on_done);
    Handle hook(const std::string& step, const conf::Hook& hook, const HookContext& context,
                OnDone<std::string> on_done);

  private:
    EventLoop& loop_;
    std::string binary_;
    Limits limits_;
};

}  // namespace regrow::recovery
