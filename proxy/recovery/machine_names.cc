#include <array>

#include "proxy/recovery/machine.h"

// Words for people and for JSON, one array an enum, in its order.
namespace regrow::recovery {
namespace {

constexpr std::array<std::string_view, kStates> kStateNames = {
    "steady", "suspect", "decide", "held",    "fence", "choose", "restore",
    "verify", "start",   "warm",   "protect", "done",  "failed", "cancelled"};
constexpr std::array<std::string_view, kHeldReasons> kHeldNames = {
    "none",   "off",      "approval",    "paused",     "maintenance", "flapping", "panic",
    "budget", "no_spare", "no_snapshot", "repository", "unfenced",    "journal"};
constexpr std::array<std::string_view, kActions> kActionNames = {"restart_in_place",
                                                                 "list_snapshots",
                                                                 "persist_epoch",
                                                                 "publish_fenced",
                                                                 "stop_old",
                                                                 "rescue",
                                                                 "claim_spare",
                                                                 "pin_snapshot",
                                                                 "restore",
                                                                 "verify_tree",
                                                                 "run_verify_hook",
                                                                 "activate",
                                                                 "run_prepare_hook",
                                                                 "start_service",
                                                                 "watch_checks",
                                                                 "stop_replacement",
                                                                 "publish_serving",
                                                                 "release_held",
                                                                 "ramp",
                                                                 "take_first_snapshot",
                                                                 "reinstate_old",
                                                                 "abort_step",
                                                                 "quarantine_old",
                                                                 "free_spare",
                                                                 "mark_spare_dirty",
                                                                 "mark_spare_lost",
                                                                 "run_after_hook",
                                                                 "notify",
                                                                 "end_recovery"};
constexpr std::array<std::string_view, 5> kEvidenceNames = {"process exit", "check", "traffic",
                                                            "agent", "operator"};
constexpr std::array<std::string_view, kEvents> kEventNames = {"BackendDied",
                                                               "Confirmed",
                                                               "Recovered",
                                                               "Requested",
                                                               "RestartInPlaceResult",
                                                               "GateChanged",
                                                               "EpochDurable",
                                                               "EpochFailed",
                                                               "WorkersAcknowledged",
                                                               "ProcessesGone",
                                                               "FenceFailed",
                                                               "RescueProgress",
                                                               "RescueDone",
                                                               "RescueFailed",
                                                               "SnapshotsListed",
                                                               "RepositoryDown",
                                                               "SpareClaimed",
                                                               "NoSpare",
                                                               "SnapshotPinned",
                                                               "PinFailed",
                                                               "RestoreProgress",
                                                               "RestoreDone",
                                                               "RestoreFailed",
                                                               "TreeVerified",
                                                               "VerifyFailed",
                                                               "HookDone",
                                                               "HookFailed",
                                                               "Activated",
                                                               "ActivateFailed",
                                                               "ServiceStarted",
                                                               "StartFailed",
                                                               "ReplacementStopped",
                                                               "StopFailed",
                                                               "ChecksGood",
                                                               "ChecksBad",
                                                               "HeldReleased",
                                                               "RampDone",
                                                               "SnapshotTaken",
                                                               "SnapshotFailed",
                                                               "SpareLost",
                                                               "OldReturned",
                                                               "Approve",
                                                               "Cancel",
                                                               "Tick"};

}  // namespace

std::string_view name(State state) {
    return kStateNames[static_cast<size_t>(state)];
}
std::string_view name(HeldReason reason) {
    return kHeldNames[static_cast<size_t>(reason)];
}
std::string_view name(Action action) {
    return kActionNames[static_cast<size_t>(action)];
}
std::string_view name(EvidenceKind kind) {
    return kEvidenceNames[static_cast<size_t>(kind)];
}
std::string_view eventName(const EventBody& event) {
    return kEventNames[event.index()];
}

std::optional<State> stateFromName(std::string_view text) {
    for (size_t i = 0; i < kStates; i++)
        if (kStateNames[i] == text) return static_cast<State>(i);
    return std::nullopt;
}

std::string resultName(const RecoveryState& state) {
    if (state.state == State::steady) return state.ejected ? "ejected" : "recovered";
    if (state.reinstating && state.state == State::done) return "reinstated";
    return std::string(name(state.state));
}

double downSeconds(const RecoveryState& state, Instant now) {
    const Instant until = state.serving_at        ? *state.serving_at
                          : terminal(state.state) ? state.entered
                                                  : now;
    return toSeconds(until - state.down_since);
}

SnapshotRef candidate(const SnapshotInfo& info) {
    return {.id = info.id,
            .epoch = info.epoch,
            .number = info.number,
            .captured = info.time,
            .bytes = info.bytes,
            .proven = info.proven,
            .complete = !info.incomplete,
            .suspicious = info.suspicious,
            .rescue = info.rescue};
}

}  // namespace regrow::recovery
