#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/recovery/snapshot_info.h"
#include "proxy/recovery/types.h"

// The recovery machine: one pure function from (state, event, context, now) to (state, commands).
//
//     steady → suspect → decide → fence → choose → restore → verify → start → warm → protect → done
//                          ↘ held(reason) ↗                                     (or failed,
//                          cancelled)
//
// How control uses it, for one recovery of one backend:
//
//     state = begin(...); loop: result = step(state, event, context, now)
//       if result.must_journal: append result.state and the server states its commands change, as
//       one record, fsync only then execute result.commands; answers come back as events that carry
//       the command's step wait for the next event, or until wakeAt(state): then Tick
//     terminal(state): end_recovery has been given; the recovery leaves the active ones
//
// After a crash: state from the journal, then the commands of resume(state). Which state takes
// which event is one table (table.h); a hole in it does not compile. Values only: any thread, no
// lifetime.
namespace regrow::recovery {

struct StepResult {
    RecoveryState state;
    std::vector<Command> commands;
    bool must_journal = false;  // before the commands; false for progress and ignored events
    std::string note;           // a sentence for the event log; empty when nothing is worth telling
};

// A recovery in state steady. `id` is unique for ever (it names staging directories, pins and the
// lineage).
RecoveryState begin(std::string id, std::string pool, std::string backend, std::string server,
                    uint64_t epoch, Instant now);

StepResult step(const RecoveryState& state, const Event& event, const Context& context,
                Instant now);

// After a crash of the proxy: the commands that were under way, the same ones with the same steps.
// Deadlines get at least half of their full length back, because the work starts again. Terminal
// states give end_recovery (and the after hook) again.
StepResult resume(const RecoveryState& state, const Context& context, Instant now);

// What restore takes: the newest by (epoch, number) that is proven, complete, unsuspicious and not
// in `tried`; with `wanted`, that one or none.
std::optional<SnapshotRef> chooseSnapshot(const std::vector<SnapshotRef>& candidates,
                                          const std::vector<std::string>& tried,
                                          const std::string& wanted);

// When step() wants a Tick at the latest; nothing for terminal states.
std::optional<Instant> wakeAt(const RecoveryState& state);
bool terminal(State state);
// Between the fence and the end: the place has no server that may be trusted with traffic by its
// old epoch.
bool fenced(const RecoveryState& state);
// Cut off for certain, and nothing was started in its place yet: the old server may have it back.
bool mayBeReinstated(const RecoveryState& state);

// Whether an operator's verb makes sense now; the error says why not and what would.
Result<> mayCancel(const RecoveryState& state);
Result<> mayApprove(const RecoveryState& state);

// "done", "failed", "cancelled", "recovered" (the old server came back), "ejected" (unconfirmed),
// "reinstated".
std::string resultName(const RecoveryState& state);
double downSeconds(const RecoveryState& state, Instant now);

// What a listing says, as a candidate.
SnapshotRef candidate(const SnapshotInfo& info);

std::string_view name(State state);
std::string_view name(HeldReason reason);
std::string_view name(Action action);
std::string_view name(EvidenceKind kind);
std::string_view eventName(const EventBody& event);
std::optional<State> stateFromName(std::string_view text);

// Lossless. Error: Code::corrupt, naming the field.
std::string toJson(const RecoveryState& state, Instant now);
Result<RecoveryState> stateFromJson(std::string_view text, Instant now);

}  // namespace regrow::recovery
