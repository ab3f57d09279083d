#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/child_process.h"
#include "base/clock.h"
#include "base/result.h"
#include "proxy/recovery/budget.h"
#include "proxy/recovery/server_states.h"
#include "proxy/recovery/types.h"

// What the proxy remembers across reload, restart, upgrade and kill -9: an append-only file of
// small records, each durable when append returns, folded into one value (Saved). Control loop
// only; blocking (one fdatasync per append).
//
// File `state_dir/journal`, little-endian:
//
//     header  8 bytes "RGJRNL01"
//     record  u32 length of payload | u32 CRC-32C of payload | payload: a JSON object of changes
//     (journal_patch.h) rest    zeros, reserved by fallocate so that a full disk cannot stop a
//     recovery half way
//
// A record that is cut off, or does not match at the very end, was never acknowledged: it is cut
// with a warning. One that does not match with good records after it is damage: opening fails and
// names offset and remedy, because guessing which epoch was last is how two servers take writes.
// When the file outgrows `compact_bytes` the fold is written as the first record of a new file,
// which is renamed over the old one. SQLite was the alternative: more code on the path of every
// crash test, and no reserved room.
namespace regrow::recovery {

struct BackendKey {
    std::string pool;
    std::string backend;
    friend auto operator<=>(const BackendKey&, const BackendKey&) = default;
};
struct ServerKey {
    std::string pool;
    std::string server;
    friend auto operator<=>(const ServerKey&, const ServerKey&) = default;
};

// Who fills a place. Holds until that server's own definition in the file is edited (config_hash
// differs).
struct Assignment {
    std::string server;  // empty: fenced, nobody yet
    uint64_t epoch = 0;
    std::string lineage;
    std::string config_hash;
    // While `server` is empty: who filled the place before, and the epoch its data is marked with.
    std::string last_server{};
    uint64_t last_epoch = 0;
    friend bool operator==(const Assignment&, const Assignment&) = default;
};

// A supervised process that may outlive the proxy.
struct ProcessRecord {
    ProcessId id;
    WallTime started{};
    uint64_t epoch = 0;
    friend bool operator==(const ProcessRecord&, const ProcessRecord&) = default;
};

// What the operator did to a backend.
struct BackendFlags {
    bool drained = false;
    bool maintenance = false;
    bool ever_up = false;  // then its data is never set up anew from empty
    bool gave_up =
        false;  // a recovery was cancelled or failed: none starts by itself until it was up again
    friend bool operator==(const BackendFlags&, const BackendFlags&) = default;
};

struct PastRecovery {
    std::string id;
    std::string backend;
    std::string from;
    std::string to;
    std::string result;  // resultName()
    std::string reason;
    std::string snapshot;
    WallTime started{};
    std::optional<double> lost_s;
    double down_s = 0;
    double detected_ms = 0;
    uint64_t restored_bytes = 0;
    double restore_ms = 0;
    std::vector<StepTime> steps;
    friend bool operator==(const PastRecovery&, const PastRecovery&) = default;
};
// Of a terminal (or any) state, for reports.
PastRecovery pastRecovery(const RecoveryState& state, Instant now);

inline constexpr size_t kPastRecoveriesPerPool = 50;

struct Saved {
    std::map<BackendKey, Assignment> assignments;
    std::map<BackendKey, BackendFlags> flags;
    std::map<BackendKey, RecoveryState> recoveries;  // active ones
    std::map<BackendKey, FlapHistory> flaps;
    std::map<ServerKey, ServerRecord> servers;  // absent: as the file says (spare: free)
    std::map<ServerKey, ProcessRecord> processes;
    std::map<std::string, Budget> budgets;                  // by pool
    std::map<std::string, std::vector<PastRecovery>> past;  // by pool, newest last
    std::map<std::string, std::string> repositories;        // ever recorded: name → repository id
    bool paused = false;
    uint64_t event_seq = 0;  // of the event log's last event known to be written
    friend bool operator==(const Saved&, const Saved&) = default;
};

// All changes one machine step makes: one record, all or nothing.
struct Transition {
    BackendKey backend;
    RecoveryState state;
    std::vector<std::pair<std::string, ServerRecord>> servers;  // of the pool, by name
    std::optional<Assignment> assignment;
    std::optional<Budget> budget;
    std::optional<FlapHistory> flap;
};

struct JournalOptions {
    uint64_t reserve_bytes = uint64_t{4} << 20;  // always free beyond the last record
    uint64_t compact_bytes = uint64_t{8} << 20;
};

struct Patch;  // journal_patch.h: one record's changes

class Journal {
  public:
    // Takes the lock of `state_dir` (created 0700 when absent) and folds what is there. `clock`
    // must outlive the journal. Errors: Code::refused when another proxy holds the lock (names its
    // pid), Code::corrupt naming offset and remedy, no_space, permission.
    static Result<std::unique_ptr<Journal>> open(std::string state_dir, const Clock& clock,
                                                 JournalOptions options = {});
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    const Saved& saved() const { return saved_; }
    // What was cut off or repaired at open, in words for the log; empty when all was well.
    const std::vector<std::string>& warnings() const { return warnings_; }

    // Each returns only once the change is durable, and changes saved() only then. An error
    // (no_space, io) means that it is not made: the caller must not go on to the effect. After an
    // error of fsync itself every further append fails: the kernel may have dropped the pages, so
    // only a restart can tell what is on disk.
    Result<> assign(const BackendKey& backend, const Assignment& assignment);
    Result<> flag(const BackendKey& backend, const BackendFlags& flags);
    Result<> transition(const Transition& change);
    // Removes the active recovery and remembers it among the past ones, with what else ends with
    // it.
    Result<> endRecovery(const BackendKey& backend, const PastRecovery& past,
                         const std::vector<std::pair<std::string, ServerRecord>>& servers,
                         const std::optional<FlapHistory>& flap);
    Result<> server(const ServerKey& server, const ServerRecord& record);
    Result<> process(const ServerKey& server, const ProcessRecord& record);
    Result<> processGone(const ServerKey& server);
    Result<> budget(const std::string& pool, const Budget& budget);
    Result<> flap(const BackendKey& backend, const FlapHistory& history);
    Result<> pause(bool paused);
    Result<> repository(const std::string& name, const std::string& id);
    Result<> eventSeq(uint64_t seq);
    // A backend or server that the configuration no longer has.
    Result<> forgetBackend(const BackendKey& backend);
    Result<> forgetServer(const ServerKey& server);

    // Writes the fold as a new file. append does so by itself when the file outgrew compact_bytes.
    Result<> compact();

  private:
    Journal(std::string state_dir, const Clock& clock, JournalOptions options);
    Result<> load();
    Result<> append(const Patch& patch);
    Result<> reserve(uint64_t needed);
    Result<> cutTail(uint64_t offset);

    std::string state_dir_;
    const Clock& clock_;
    JournalOptions options_;
    Saved saved_;
    std::vector<std::string> warnings_;
    UniqueFd lock_;
    UniqueFd file_;
    uint64_t end_ = 0;       // of the last record
    uint64_t reserved_ = 0;  // bytes of the file that have room on disk
    uint64_t compact_at_ = 0;
    bool broken_ = false;
};

}  // namespace regrow::recovery
