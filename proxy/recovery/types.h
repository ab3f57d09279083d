#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"

// The words of recovery as plain values: what a recovery is (RecoveryState), what may happen to it
// (Event), what it wants done (Command), and what it must know of the world around it (Policy,
// Context). No behaviour and no I/O here; machine.h decides, control journals and executes. Control
// loop only.
namespace regrow::recovery {

enum class State {
    steady,   // no recovery: nothing was replaced (before the first evidence, or recovered)
    suspect,  // evidence of death; not acted on yet, except for one restart in place
    decide,   // the gate
    held,     // the gate, the fence or the choice said no: see HeldReason
    fence,    // the server that filled the place is being cut off
    choose,   // a spare and a snapshot
    restore,  // into staging on the spare
    verify,   // tree, kind's check, hook, then activation with READY last
    start,    // prepare hook, service, `rise` good checks
    warm,     // held requests, then the ramp
    protect,  // first proven snapshot of the new lineage
    done,
    failed,
    cancelled,
};
inline constexpr size_t kStates = 14;

enum class HeldReason {
    none,
    off,          // recovery.mode: off
    approval,     // recovery.mode: approve
    paused,       // by an operator, all recoveries
    maintenance,  // this backend
    flapping,     // it was recovered a moment ago and died again; until the hold-down ends
    panic,        // too many backends of the pool died within seconds
    budget,       // recovery.budget is spent
    no_spare,
    no_snapshot,  // none that is proven, complete, unsuspicious and untried
    repository,   // it does not answer
    unfenced,     // nobody can confirm that the old server is gone, or a worker did not acknowledge
    journal,      // epoch could not be made durable (state_dir full or read-only)
};
inline constexpr size_t kHeldReasons = 13;

enum class EvidenceKind { process_exit, check, traffic, agent, operator_says };

// A snapshot as a candidate. Newest = highest (epoch, number), never by wall clock.
struct SnapshotRef {
    std::string id;
    uint64_t epoch = 0;   // of the server it was captured from
    uint64_t number = 0;  // grows by one per snapshot of the backend
    WallTime captured{};  // the instant its content stands for
    uint64_t bytes = 0;
    bool proven = false;      // its bytes were read back and match
    bool complete = true;     // manifest and every pack are there
    bool suspicious = false;  // most files vanished since the one before: for a person to decide
    bool rescue = false;      // taken from a dead server's disk: stands for the instant of death
    std::string shortId() const { return id.substr(0, 12); }  // for people
    friend bool operator==(const SnapshotRef&, const SnapshotRef&) = default;
};

// What control is asked to do. The comment names the answers, which must carry the command's step.
// Doing the same command twice (same recovery, epoch and step) must be harmless: after a crash it
// is given again.
enum class Action {
    restart_in_place,  // restart `old_server` if its data is untouched → RestartInPlaceResult
    list_snapshots,    // → SnapshotsListed | RepositoryDown
    persist_epoch,     // make `epoch` the backend's, durably → EpochDurable | EpochFailed
    publish_fenced,    // workers drop the server that filled the place → WorkersAcknowledged
    stop_old,          // stop, kill, fence hook: `old_server` → ProcessesGone | FenceFailed
    rescue,        // one last snapshot of `old_server`'s disk → RescueProgress* then RescueDone |
                   // RescueFailed
    claim_spare,   // a free one, or that which this recovery already claimed → SpareClaimed |
                   // NoSpare
    pin_snapshot,  // against prune → SnapshotPinned | PinFailed
    restore,  // `snapshot` to staging on `spare`, resuming → RestoreProgress* then RestoreDone |
              // RestoreFailed
    verify_tree,      // exact file set, the kind's check → TreeVerified | VerifyFailed
    run_verify_hook,  // → HookDone | HookFailed
    activate,  // staging becomes data, READY(recovery, epoch) last → Activated | ActivateFailed
    run_prepare_hook,  // → HookDone | HookFailed
    start_service,  // on `spare`; refuses without READY of this recovery and epoch → ServiceStarted
                    // | StartFailed
    watch_checks,  // → ChecksGood once, ChecksBad at any time after, until the recovery leaves warm
    stop_replacement,  // → ReplacementStopped | StopFailed
    publish_serving,   // assignment {spare, epoch, lineage} durable, then to the workers, warming →
                       // WorkersAcknowledged
    release_held,      // at a bounded rate → HeldReleased
    ramp,              // slow start → RampDone
    take_first_snapshot,  // of the new lineage, then read back → SnapshotTaken | SnapshotFailed
    reinstate_old,        // assignment back to `old_server` at `epoch`, then to the workers →
                          // WorkersAcknowledged

    // Book-keeping and news: no answer. Server states change in the same journal record as the
    // recovery's state.
    abort_step,      // stop whatever runs for this recovery on `spare` or in the repository (child
                     // processes)
    quarantine_old,  // `old_server`: quarantined, data kept
    free_spare,      // `spare`: free again, it was not written to
    mark_spare_dirty,  // `spare`: dirty, holds parts of a copy
    mark_spare_lost,   // `spare`: lost
    run_after_hook,
    notify,  // `text` to recovery.notify; `alarm` says whether a person is needed
    // Terminal: unpin, move it to the past recoveries, and free every spare that is still claimed
    // by it (a claim whose answer came too late: it was never written to).
    end_recovery,
};
inline constexpr size_t kActions = 29;

// A command with all that any action needs; which fields matter is said at Action.
struct Command {
    Action action = Action::notify;
    std::string recovery;  // (recovery, epoch, step) is the key of idempotence
    uint64_t epoch = 0;
    uint32_t step = 0;
    std::string pool;
    std::string backend;
    std::string old_server;
    std::string spare;
    std::string lineage;  // of the replacement's data
    std::optional<SnapshotRef> snapshot;
    Duration timeout{};  // after which the machine gives up on it; executors may use it as their
                         // own deadline
    std::string text;    // notify: what happened; mark_*, quarantine_*: the reason
    bool alarm = false;
};

// Events. Times of arrival are step()'s `now`.
struct BackendDied {  // one more piece of evidence against `server`
    EvidenceKind kind = EvidenceKind::check;
    std::string text;    // "3 checks in a row: connection refused", "exit: killed by SIGKILL"
    bool proof = false;  // enough alone: the process exited
    std::string server;
    Instant died_at{};  // best estimate: first evidence, or the exit
    WallTime died_wall{};
    bool data_gone = false;  // no use to restart in place
};
struct Confirmed {
    std::string text;
};  // by somebody else's rule: enough evidence
struct Recovered {};  // `rise` good checks of the old server
struct Requested {
    std::string actor;
    std::string snapshot;
};  // `regrow recover`; snapshot id or empty = newest
struct RestartInPlaceResult {
    enum class Outcome {
        started,
        touched,
        failed
    };  // touched: marker or files not as they were; nothing was started
    Outcome outcome = Outcome::failed;
    std::string text;
};
struct GateChanged {
};  // something in Context may have changed (pause, spare freed, reload, budget, panic over)
struct EpochDurable {};
struct EpochFailed {
    std::string text;
};
struct WorkersAcknowledged {};
struct ProcessesGone {
    bool data_intact = false;
    std::string text;
};  // intact: marker and files as at death
struct FenceFailed {
    std::string text;
};
struct RescueProgress {
    uint64_t bytes = 0;
};
struct RescueDone {
    SnapshotRef snapshot;
};
struct RescueFailed {
    std::string text;
    bool repository = false;  // it did not answer, so the disk may be rescued once it does
};
struct SnapshotsListed {
    std::vector<SnapshotRef> snapshots;
};  // of this backend, any order
struct RepositoryDown {
    std::string text;
};
struct SpareClaimed {
    std::string server;
};
struct NoSpare {
    std::string text;
};
struct SnapshotPinned {};
struct PinFailed {
    std::string text;
};
struct RestoreProgress {
    uint64_t done_bytes = 0;
    uint64_t total_bytes = 0;
};
struct RestoreDone {
    uint64_t bytes = 0;
};
struct RestoreFailed {
    enum class Kind { bad_chunk, repository_down, spare_lost, no_space, other };
    Kind kind = Kind::other;
    std::string text;
};
struct TreeVerified {
    std::string digest;
};
struct VerifyFailed {
    std::string text;
    bool repository_down = false;  // then it says nothing of the snapshot
};
struct HookDone {};
struct HookFailed {
    std::string text;
};
struct Activated {};
struct ActivateFailed {
    std::string text;
};
struct ServiceStarted {};
struct StartFailed {
    std::string text;
};
struct ReplacementStopped {};
struct StopFailed {
    std::string text;
};
struct ChecksGood {};
struct ChecksBad {
    std::string text;
};
struct HeldReleased {};
struct RampDone {};
struct SnapshotTaken {
    SnapshotRef snapshot;
};
struct SnapshotFailed {
    std::string text;
};
struct SpareLost {
    std::string server;
    std::string text;
};
struct OldReturned {
    bool healthy = false;
    bool data_intact = false;
    std::string text;
};  // the fenced server is seen again
struct Approve {
    std::string actor;
};
struct Cancel {
    std::string actor;
};
struct Tick {};  // at wakeAt(), or any time: nothing due, nothing happens

using EventBody =
    std::variant<BackendDied, Confirmed, Recovered, Requested, RestartInPlaceResult, GateChanged,
                 EpochDurable, EpochFailed, WorkersAcknowledged, ProcessesGone, FenceFailed,
                 RescueProgress, RescueDone, RescueFailed, SnapshotsListed, RepositoryDown,
                 SpareClaimed, NoSpare, SnapshotPinned, PinFailed, RestoreProgress, RestoreDone,
                 RestoreFailed, TreeVerified, VerifyFailed, HookDone, HookFailed, Activated,
                 ActivateFailed, ServiceStarted, StartFailed, ReplacementStopped, StopFailed,
                 ChecksGood, ChecksBad, HeldReleased, RampDone, SnapshotTaken, SnapshotFailed,
                 SpareLost, OldReturned, Approve, Cancel, Tick>;
inline constexpr size_t kEvents = std::variant_size_v<EventBody>;

struct Event {
    EventBody body;
    uint32_t step = 0;  // of the command this answers; 0: nobody asked. An answer to a step no
                        // longer awaited is ignored.
};

enum class Mode { automatic, approve, off };

// What the operator wrote, for this pool and server. Plain values so that the machine knows no
// configuration.
struct Policy {
    Mode mode = Mode::automatic;
    bool has_data = true;  // pool data: none has nothing to restore
    bool rescue = true;
    bool unfenced_proceed = false;
    bool supervised = true;  // service.run: a restart in place is ours to do
    bool verify_hook = false;
    bool prepare_hook = false;
    bool after_hook = false;
    Duration suspect = std::chrono::seconds(10);
    Duration confirm_alone =
        std::chrono::seconds(3);  // one kind of evidence, this much longer, without traffic
    Duration decide = std::chrono::seconds(1);
    Duration fence = std::chrono::seconds(6);
    Duration rescue_silence = std::chrono::seconds(5);  // longest silence of the capture
    Duration rescue_total = std::chrono::seconds(30);
    Duration choose = std::chrono::seconds(5);
    Duration stall = std::chrono::seconds(30);
    Duration verify = std::chrono::seconds(120);  // of the tree; the hook has its own
    Duration verify_hook_timeout = std::chrono::seconds(30);
    Duration activate = std::chrono::seconds(10);
    Duration prepare_hook_timeout = std::chrono::seconds(30);
    Duration start = std::chrono::seconds(30);
    Duration stop = std::chrono::seconds(10);  // of a replacement that is given up
    Duration warm = std::chrono::seconds(60);
    Duration protect = std::chrono::seconds(60);
    Duration alarm_every = std::chrono::minutes(5);
    int start_retries = 2;
    int max_attempts = 12;  // restores begun in one recovery; then failed
};

enum class Known { no, yes, unknown };

// What the world looks like now; control fills it before each step.
struct Context {
    Policy policy;
    bool paused = false;
    bool maintenance = false;
    bool panic = false;           // panic.h, for this backend: false for the canary
    bool budget_left = true;      // budget.h
    bool restart_allowed = true;  // budget.h: service.restart not used up within the window
    // budget.h: it died and returned again and again; being up proves nothing.
    bool unstable = false;
    // budget.h: hold-down after a recovery that did not last.
    std::optional<Instant> flapping_until;
    // Nothing but checks can say anything, and something that waits much longer than they do heard
    // nothing either: neither traffic nor a slow answer speaks against its death.
    bool no_traffic = false;
    Known spare = Known::yes;  // one is free (or claimed by this recovery)
    bool other_spare = false;  // one is free besides that which this recovery has claimed
    Known proven_snapshot = Known::yes;
    uint64_t epoch_floor = 0;  // max of journal, markers and repository
    WallTime wall{};           // reports only
};

struct StepTime {
    State state = State::steady;
    Duration took{};
    friend bool operator==(const StepTime&, const StepTime&) = default;
};

// A command whose answer is awaited.
struct Pending {
    Action action = Action::notify;
    uint32_t step = 0;
    friend bool operator==(const Pending&, const Pending&) = default;
};

// One recovery of one backend. Everything that must survive a crash; instants are kept as remaining
// or elapsed durations in JSON, because the monotonic clock starts anew with the machine.
struct RecoveryState {
    std::string id;
    std::string pool;
    std::string backend;
    std::string from;  // server that filled the place when this began; the report's "from"
    // That is cut off: `from`, later a replacement that failed while warming.
    std::string old_server;
    uint64_t old_epoch = 0;
    uint64_t epoch = 0;   // given out by this recovery; old_epoch until fence
    std::string lineage;  // of the data this recovery makes: its id

    State state = State::steady;
    HeldReason held = HeldReason::none;
    // Where to go on when the reason ends: decide, fence or choose.
    State held_from = State::decide;
    std::string reason;               // why it is where it is, for every surface
    Instant entered{};                // the state
    std::optional<Instant> deadline;  // of the state; held: next alarm
    std::optional<Instant> retry_at;  // held, protect: next look
    Duration backoff{};
    // Last told to recovery.notify, and when to say it again.
    HeldReason alarmed = HeldReason::none;
    std::optional<Instant> alarm_at;

    Instant down_since{};  // first death
    Instant died_at{};     // of `old_server`
    WallTime died_wall{};
    std::vector<std::string> evidence;  // in order of arrival, at most 16
    uint32_t evidence_kinds = 0;        // bit per EvidenceKind
    bool confirmed = false;
    bool exited = false;  // the process is known to have ended
    bool data_gone = false;
    bool restarted = false;  // in place, by this recovery
    bool approved = false;
    bool gate_passed = false;  // the budget counts from here
    bool cancelling = false;   // waits for the replacement's process to stop
    bool ejected = false;      // suspicion ended unconfirmed: no traffic until its checks are good
    bool up_again = false;     // good checks came while it is held down for flapping
    bool requested = false;    // by an operator; the server may have been healthy
    std::string wanted_snapshot;
    std::string approver;

    bool epoch_durable = false;
    bool workers_cut = false;
    bool processes_gone = false;
    bool old_intact = false;
    bool rescue_over = false;
    std::optional<Instant> rescue_until;  // last moment for it, however much it progresses
    uint64_t rescue_bytes = 0;
    std::optional<SnapshotRef> rescued;
    bool rescue_owed = false;  // the repository did not answer; once it does, the disk comes first
    int rescue_tries = 0;      // that failed for that reason

    std::string spare;
    bool spare_written = false;
    bool replacement_running = false;
    bool served = false;  // some replacement was published: the point of no return
    bool listed = false;
    std::vector<SnapshotRef> candidates;
    std::optional<SnapshotRef> snapshot;
    std::vector<std::string> tried;  // ids that will not be chosen again
    std::string doubted;             // id of a snapshot whose service did not come up on one spare
    std::string trouble;             // why the last spare or snapshot was given up, naming it
    int pin_failures = 0;            // in a row
    bool prepared = false;           // the prepare hook has succeeded on this data
    int attempts = 0;                // restores begun
    int tries = 0;                   // of the current step
    uint64_t done_bytes = 0;
    uint64_t total_bytes = 0;

    std::optional<Instant> detected_at;
    std::optional<Instant> serving_at;
    std::optional<Duration> restore_took;
    std::optional<double> lost_s;  // between the restored snapshot and the death; 0 with a rescue
    bool unprotected = false;      // ended before its first snapshot was proven
    bool reinstating = false;      // the old server gets its place back

    std::vector<StepTime> steps;
    std::vector<Pending> pending;
    uint32_t next_step = 1;
    std::string actor;  // who cancelled

    friend bool operator==(const RecoveryState&, const RecoveryState&) = default;
};

}  // namespace regrow::recovery
