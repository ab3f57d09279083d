#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "proxy/balance/stats.h"

// Everything the surfaces (stats, metrics, dashboard, status, why) show, as plain values that
// control fills on demand. The names follow the stats contract; rendering is pure and lives in
// proxy/admin.
namespace regrow::control {

struct LatencyStatus {
    double p50_ms = 0;
    double p90_ms = 0;
    double p99_ms = 0;
};

struct CheckStatus {
    std::optional<WallTime> last;
    std::string result;  // "ok", "HTTP 503", "connection refused", …; empty before the first
    double took_ms = 0;
    int rise = 0;  // good ones in a row so far
    int fall = 0;  // bad ones in a row so far
};

struct BackendStatus {
    std::string name;
    std::string state;  // starting up suspect down draining maintenance restoring warming
    std::string server;
    std::string address;
    std::string lookup;        // the name that the address was found by; empty: it is as written
    std::string lookup_error;  // of the last look-up
    uint64_t epoch = 0;
    WallTime since;
    std::string reason;
    int64_t pid = 0;  // of a supervised server; 0: none
    uint64_t in_flight = 0;
    uint64_t requests = 0;
    uint64_t errors = 0;
    uint64_t connect_failures = 0, resets = 0, timeouts = 0, bad_answers = 0, status_5xx = 0;
    uint64_t stalls = 0;  // not a failure: the requests may have been answered after all
    uint64_t bytes_in = 0, bytes_out = 0;
    LatencyStatus latency;
    CheckStatus check;
};

struct SpareStatus {
    std::string name;
    std::string address;
    std::string state;  // free claimed in_use dirty quarantined lost
    std::string reason;
};

struct SnapshotStatus {
    std::string id;
    std::string name;  // POOL/BACKEND
    WallTime time;
    std::string type;  // full incremental
    uint64_t bytes = 0;
    bool verified = false;
    bool incomplete = false;  // something could not be read
    bool suspicious = false;  // held back: most files vanished since the one before
};

struct BackupStatus {
    uint64_t snapshots = 0;
    std::optional<SnapshotStatus> latest;
    std::optional<double>
        rpo_s;  // age of the newest restorable state, of the worst backend of the pool
    std::optional<double> rto_estimate_s;  // from measured restores; absent before the first
    std::string last_error;  // of the last capture that failed; empty when the last one was good
};

struct StepStatus {
    std::string step;
    double took_ms = 0;
};

struct RecoveryStatus {
    std::string id;
    std::string backend;
    std::string spare;
    std::string state;   // "held(REASON)" while it is held
    std::string reason;  // why it is held, or what is being retried
    WallTime since;
    double progress = 0;  // of the restore, 0 to 1
    uint64_t restored_bytes = 0;
    std::string snapshot;
    std::string held{};  // the REASON alone; empty: not held
};

struct PastRecoveryStatus {
    std::string id;
    std::string backend;
    std::string from;
    std::string to;
    std::string result;  // done failed cancelled
    std::string snapshot;
    WallTime started;
    std::optional<double>
        lost_s;  // between the restored snapshot and the death; 0 with a rescue snapshot
    double down_s = 0;
    double detected_ms = 0;  // death (or first evidence) to decision
    uint64_t restored_bytes = 0;
    double restore_ms = 0;
    std::vector<StepStatus> steps;
};

struct PoolStatus {
    std::string state;  // up degraded down
    uint64_t held = 0;  // waiting now
    uint64_t held_total = 0;
    uint64_t requests = 0;
    uint64_t errors = 0;
    uint64_t retries = 0;
    uint64_t hedges = 0;
    uint64_t hedges_won = 0;  // by the second backend
    std::vector<BackendStatus> backends;
    std::vector<SpareStatus> spares;
    std::optional<BackupStatus> backup;
    std::vector<RecoveryStatus>
        active;  // one a backend at most; stats shows the first as "recovery"
    std::vector<PastRecoveryStatus> recoveries;        // newest last
    std::map<std::string, uint64_t> recovery_results;  // result -> how many ever ended so
};

struct ListenerStatus {
    std::string listen;
    uint64_t connections = 0;
    uint64_t open = 0;
    uint64_t requests = 0;
    uint64_t bad_requests = 0;
    bool tls = false;
    uint64_t handshakes = 0;
    uint64_t resumptions = 0;  // of those
    uint64_t handshake_failures = 0;
    std::array<uint64_t, kRefusals> refused{};  // by reason
};

struct RepositoryStatus {
    bool reachable = false;
    uint64_t snapshots = 0;
    uint64_t bytes = 0;
    uint64_t free_bytes = 0;
    std::string error;
};

struct Status {
    uint64_t generation = 0;
    double uptime_s = 0;
    int workers = 0;
    bool paused = false;  // recoveries are
    bool draining = false;
    std::vector<ListenerStatus> listeners;
    std::map<std::string, PoolStatus> pools;
    std::map<std::string, RepositoryStatus> repositories;
};

// One thing that happened, for /events, why and the audit log.
struct Event {
    uint64_t seq = 0;
    WallTime time;
    std::string pool;     // may be empty
    std::string backend;  // may be empty
    std::string kind;     // health, recovery, backup, admin, service, reload, …
    std::string text;     // a sentence a person can follow
    std::vector<std::pair<std::string, std::string>> details;  // evidence: key and value
};

// What the surfaces may ask of control. Control loop only; control implements it, admin calls it.
class Control {
  public:
    virtual ~Control() = default;
    virtual Status status() const = 0;
    // Newest last; `backend` empty = all of the pool; `pool` empty = everything; since: seq >
    // since.
    virtual std::vector<Event> events(const std::string& pool, const std::string& backend,
                                      uint64_t since) const = 0;
    virtual std::vector<SnapshotStatus> snapshots() const = 0;
    // verb: drain undrain maintenance recover quarantine release backup; target: a backend's or
    // (quarantine, release) server's name. `snapshot`: empty, an id or a time, for recover. Returns
    // a sentence saying what happens now.
    virtual Result<std::string> act(const std::string& verb, const std::string& pool,
                                    const std::string& target, const std::string& snapshot,
                                    const std::string& actor) = 0;
    virtual Result<std::string> approve(const std::string& recovery, const std::string& actor) = 0;
    virtual Result<std::string> cancel(const std::string& recovery, const std::string& actor) = 0;
    virtual Result<std::string> pause(bool paused, const std::string& actor) = 0;
    virtual Result<std::string> reload(const std::string& actor) = 0;
    // Called for each new event, on the control loop, until the returned token is destroyed.
    virtual std::shared_ptr<void> subscribe(std::function<void(const Event&)> listener) = 0;
    // Every listener accepts and no pool is down.
    virtual bool ready() const = 0;
};

}  // namespace regrow::control
