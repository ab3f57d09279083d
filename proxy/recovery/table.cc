#include "proxy/recovery/table.h"

#include <algorithm>

#include "proxy/recovery/handlers.h"

namespace regrow::recovery {
namespace {

template <class... Events>
struct Group {};

template <class E, class... Es>
constexpr size_t indexIn(const std::variant<Es...>*) {
    size_t index = 0;
    (void)((std::is_same_v<E, Es> || (++index, false)) || ...);
    return index;
}
template <class E>
inline constexpr size_t kIndexOf = indexIn<E>(static_cast<const EventBody*>(nullptr));

template <class F>
struct EventOf;
template <class E>
struct EventOf<void (*)(Turn&, const E&)> {
    using Type = E;
};

template <auto handler>
void call(Turn& turn, const EventBody& event) {
    handler(turn, std::get<typename EventOf<decltype(handler)>::Type>(event));
}

// Fills cells; filling one twice is an error while compiling.
struct Builder {
    Table table{};
    bool twice = false;

    constexpr void put(State state, size_t event, Handler handler) {
        auto& cell = table.cells[static_cast<size_t>(state)][event];
        twice = twice || cell != nullptr;
        cell = handler;
    }
    template <auto... handlers>
    constexpr void on(State state) {
        (put(state, kIndexOf<typename EventOf<decltype(handlers)>::Type>, &call<handlers>), ...);
    }
    template <class... Events>
    constexpr void ignoring(State state, Group<Events...>) {
        (put(state, kIndexOf<Events>, &ignore), ...);
    }
    template <class... Events>
    constexpr void ignoring(State state) {
        (put(state, kIndexOf<Events>, &ignore), ...);
    }
};

// Answers reach a state only while it waits for them (step() drops all others), so what a state
// never asks it ignores.
using RestartAnswers = Group<RestartInPlaceResult>;
using ListAnswers = Group<SnapshotsListed, RepositoryDown>;
using FenceAnswers = Group<EpochDurable, EpochFailed, ProcessesGone, FenceFailed, RescueProgress,
                           RescueDone, RescueFailed>;
using ClaimAnswers = Group<SpareClaimed, NoSpare, SnapshotPinned, PinFailed>;
using RestoreAnswers = Group<RestoreProgress, RestoreDone, RestoreFailed>;
using VerifyAnswers = Group<TreeVerified, VerifyFailed, Activated, ActivateFailed>;
using HookAnswers = Group<HookDone, HookFailed>;
using StartAnswers = Group<ServiceStarted, StartFailed>;
using StopAnswers = Group<ReplacementStopped, StopFailed>;
using CheckAnswers = Group<ChecksGood, ChecksBad>;
using WarmAnswers = Group<HeldReleased, RampDone>;
using ProtectAnswers = Group<SnapshotTaken, SnapshotFailed>;
using WorkerAnswers = Group<WorkersAcknowledged>;
// About the old server, once it was decided to replace it: what it does now is told by OldReturned.
using OldNews = Group<BackendDied, Confirmed, Recovered, Requested, GateChanged>;

constexpr void ended(Builder& b, State s) {
    b.ignoring(s, OldNews{});
    b.ignoring<SpareLost, OldReturned, Approve, Cancel, Tick>(s);
}

template <class... Groups>
constexpr void neverAsks(Builder& b, State s, Groups... groups) {
    (b.ignoring(s, groups), ...);
}

constexpr void early(Builder& b) {
    State s = State::steady;
    b.on<steadyDied, steadyRequested>(s);
    b.ignoring<Confirmed, Recovered, GateChanged, SpareLost, OldReturned, Approve, Cancel, Tick>(s);
    neverAsks(b, s, RestartAnswers{}, ListAnswers{}, FenceAnswers{}, ClaimAnswers{},
              RestoreAnswers{}, VerifyAnswers{}, HookAnswers{}, StartAnswers{}, StopAnswers{},
              CheckAnswers{}, WarmAnswers{}, ProtectAnswers{}, WorkerAnswers{});

    s = State::suspect;
    b.on<suspectDied, suspectConfirmed, suspectRecovered, suspectRequested, suspectRestarted,
         suspectTick, suspectCancel>(s);
    b.ignoring<GateChanged, SpareLost, OldReturned, Approve>(s);
    neverAsks(b, s, ListAnswers{}, FenceAnswers{}, ClaimAnswers{}, RestoreAnswers{},
              VerifyAnswers{}, HookAnswers{}, StartAnswers{}, StopAnswers{}, CheckAnswers{},
              WarmAnswers{}, ProtectAnswers{}, WorkerAnswers{});

    s = State::decide;
    b.on<decideGate, decideRecovered, decideListed, decideRepositoryDown, decideTick, heldDied,
         suspectRequested, cancelNow>(s);
    b.ignoring<Confirmed, SpareLost, OldReturned, Approve>(s);
    neverAsks(b, s, RestartAnswers{}, FenceAnswers{}, ClaimAnswers{}, RestoreAnswers{},
              VerifyAnswers{}, HookAnswers{}, StartAnswers{}, StopAnswers{}, CheckAnswers{},
              WarmAnswers{}, ProtectAnswers{}, WorkerAnswers{});

    s = State::held;
    b.on<heldDied, heldRecovered, heldRequested, heldGate, heldListed, heldRepositoryDown,
         heldApprove, heldSpareLost, heldReturned, heldTick, cancelWorking>(s);
    // A fence that is held goes on: its late answers count.
    b.on<fenceEpochDurable, fenceEpochFailed, fenceWorkers, fenceGone, fenceFailed,
         fenceRescueProgress, fenceRescued, fenceRescueFailed>(s);
    b.ignoring<Confirmed>(s);
    neverAsks(b, s, RestartAnswers{}, ClaimAnswers{}, RestoreAnswers{}, VerifyAnswers{},
              HookAnswers{}, StartAnswers{}, StopAnswers{}, CheckAnswers{}, WarmAnswers{},
              ProtectAnswers{});
}

constexpr void middle(Builder& b) {
    State s = State::fence;
    b.on<fenceEpochDurable, fenceEpochFailed, fenceWorkers, fenceGone, fenceFailed,
         fenceRescueProgress, fenceRescued, fenceRescueFailed, fenceTick, cancelWorking>(s);
    b.ignoring(s, OldNews{});
    b.ignoring<SpareLost, OldReturned, Approve>(s);
    neverAsks(b, s, RestartAnswers{}, ListAnswers{}, ClaimAnswers{}, RestoreAnswers{},
              VerifyAnswers{}, HookAnswers{}, StartAnswers{}, StopAnswers{}, CheckAnswers{},
              WarmAnswers{}, ProtectAnswers{});

    s = State::choose;
    b.on<chooseListed, chooseRepositoryDown, chooseClaimed, chooseNoSpare, choosePinned,
         choosePinFailed, chooseStopped, chooseStopFailed, chooseTick, workingSpareLost,
         workingReturned, cancelWorking>(s);
    b.ignoring(s, OldNews{});
    b.ignoring<Approve>(s);
    neverAsks(b, s, RestartAnswers{}, FenceAnswers{}, RestoreAnswers{}, VerifyAnswers{},
              HookAnswers{}, StartAnswers{}, CheckAnswers{}, WarmAnswers{}, ProtectAnswers{},
              WorkerAnswers{});

    s = State::restore;
    b.on<restoreProgress, restoreDone, restoreFailed, restoreTick, workingSpareLost,
         workingReturned, cancelWorking>(s);
    b.ignoring(s, OldNews{});
    b.ignoring<Approve>(s);
    neverAsks(b, s, RestartAnswers{}, ListAnswers{}, FenceAnswers{}, ClaimAnswers{},
              VerifyAnswers{}, HookAnswers{}, StartAnswers{}, StopAnswers{}, CheckAnswers{},
              WarmAnswers{}, ProtectAnswers{}, WorkerAnswers{});

    s = State::verify;
    b.on<verifyTree, verifyFailed, verifyHookDone, verifyHookFailed, verifyActivated,
         verifyActivateFailed, verifyTick, workingSpareLost, workingReturned, cancelWorking>(s);
    b.ignoring(s, OldNews{});
    b.ignoring<Approve>(s);
    neverAsks(b, s, RestartAnswers{}, ListAnswers{}, FenceAnswers{}, ClaimAnswers{},
              RestoreAnswers{}, StartAnswers{}, StopAnswers{}, CheckAnswers{}, WarmAnswers{},
              ProtectAnswers{}, WorkerAnswers{});
}

constexpr void late(Builder& b) {
    State s = State::start;
    b.on<startHookDone, startHookFailed, startStarted, startFailed, startStopped, startStopFailed,
         startGood, startBad, startTick, workingSpareLost, lateReturned, cancelWorking>(s);
    b.ignoring(s, OldNews{});
    b.ignoring<Approve>(s);
    neverAsks(b, s, RestartAnswers{}, ListAnswers{}, FenceAnswers{}, ClaimAnswers{},
              RestoreAnswers{}, VerifyAnswers{}, WarmAnswers{}, ProtectAnswers{}, WorkerAnswers{});

    s = State::warm;
    b.on<warmWorkers, warmReleased, warmRamped, warmBad, warmDied, warmSpareLost, warmTick,
         lateReturned, cancelTooLate>(s);
    b.ignoring<Confirmed, Recovered, Requested, GateChanged, Approve, ChecksGood>(s);
    neverAsks(b, s, RestartAnswers{}, ListAnswers{}, FenceAnswers{}, ClaimAnswers{},
              RestoreAnswers{}, VerifyAnswers{}, HookAnswers{}, StartAnswers{}, StopAnswers{},
              ProtectAnswers{});

    s = State::protect;
    b.on<protectTaken, protectFailed, protectDied, protectConfirmed, protectSpareLost, protectTick,
         lateReturned, cancelTooLate>(s);
    b.ignoring<Recovered, Requested, GateChanged, Approve>(s);
    neverAsks(b, s, RestartAnswers{}, ListAnswers{}, FenceAnswers{}, ClaimAnswers{},
              RestoreAnswers{}, VerifyAnswers{}, HookAnswers{}, StartAnswers{}, StopAnswers{},
              CheckAnswers{}, WarmAnswers{}, WorkerAnswers{});

    for (const State end : {State::done, State::failed, State::cancelled}) {
        ended(b, end);
        neverAsks(b, end, RestartAnswers{}, ListAnswers{}, FenceAnswers{}, ClaimAnswers{},
                  RestoreAnswers{}, VerifyAnswers{}, HookAnswers{}, StartAnswers{}, StopAnswers{},
                  CheckAnswers{}, WarmAnswers{}, ProtectAnswers{}, WorkerAnswers{});
    }
}

constexpr Builder build() {
    Builder b;
    early(b);
    middle(b);
    late(b);
    return b;
}

constexpr Builder kBuilt = build();

constexpr bool complete(const Table& table) {
    return std::ranges::all_of(table.cells, [](const auto& row) {
        return std::ranges::all_of(row, [](Handler cell) { return cell != nullptr; });
    });
}
static_assert(!kBuilt.twice, "a (state, event) is mapped twice");
#ifndef __SANITIZE_ADDRESS__  // GCC with sanitizers takes no function's address for a constant
static_assert(complete(kBuilt.table),
              "a (state, event) is not mapped: name a handler, or ignore it on purpose");
#endif

// Which command an event answers.
struct AnswerRow {
    size_t event;
    bool final;
    std::array<Action, 3> to;  // repeated where fewer
};
template <class E>
constexpr AnswerRow row(Action a, bool final = true) {
    return {kIndexOf<E>, final, {a, a, a}};
}
using enum Action;
constexpr AnswerRow kAnswers[] = {
    row<RestartInPlaceResult>(restart_in_place),
    row<EpochDurable>(persist_epoch),
    row<EpochFailed>(persist_epoch),
    {kIndexOf<WorkersAcknowledged>, true, {publish_fenced, publish_serving, reinstate_old}},
    row<ProcessesGone>(stop_old),
    row<FenceFailed>(stop_old, false),  // somebody may still confirm it later
    row<RescueProgress>(rescue, false),
    row<RescueDone>(rescue),
    row<RescueFailed>(rescue),
    row<SnapshotsListed>(list_snapshots),
    row<RepositoryDown>(list_snapshots),
    row<SpareClaimed>(claim_spare),
    row<NoSpare>(claim_spare),
    row<SnapshotPinned>(pin_snapshot),
    row<PinFailed>(pin_snapshot),
    row<RestoreProgress>(restore, false),
    row<RestoreDone>(restore),
    row<RestoreFailed>(restore),
    row<TreeVerified>(verify_tree),
    row<VerifyFailed>(verify_tree),
    {kIndexOf<HookDone>, true, {run_verify_hook, run_prepare_hook, run_prepare_hook}},
    {kIndexOf<HookFailed>, true, {run_verify_hook, run_prepare_hook, run_prepare_hook}},
    row<Activated>(activate),
    row<ActivateFailed>(activate),
    row<ServiceStarted>(start_service),
    row<StartFailed>(start_service),
    row<ReplacementStopped>(stop_replacement),
    row<StopFailed>(stop_replacement),
    row<ChecksGood>(watch_checks, false),
    row<ChecksBad>(watch_checks, false),
    row<HeldReleased>(release_held),
    row<RampDone>(ramp),
    row<SnapshotTaken>(take_first_snapshot),
    row<SnapshotFailed>(take_first_snapshot),
};

const AnswerRow* answerRow(const EventBody& event) {
    const auto* found = std::ranges::find(kAnswers, event.index(), &AnswerRow::event);
    return found == std::ranges::end(kAnswers) ? nullptr : found;
}

}  // namespace

const Table& table() {
    return kBuilt.table;
}
void ignore(Turn& turn, const EventBody&) {
    turn.changed = false;
}
bool isAnswer(const EventBody& event) {
    return answerRow(event) != nullptr;
}
bool answers(const EventBody& event, Action action) {
    const auto* found = answerRow(event);
    return found && std::ranges::find(found->to, action) != found->to.end();
}
bool isFinal(const EventBody& event) {
    const auto* found = answerRow(event);
    return found && found->final;
}

}  // namespace regrow::recovery
