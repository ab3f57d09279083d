#pragma once

#include "proxy/recovery/machine_turn.h"

// The handlers table.cc names: one per (state, event) that means something, called state + event.
// They change the turn and ask for commands; what several share is in machine_turn.h.
namespace regrow::recovery {

void steadyDied(Turn& turn, const BackendDied& event);
void steadyRequested(Turn& turn, const Requested& event);

void suspectDied(Turn& turn, const BackendDied& event);
void suspectConfirmed(Turn& turn, const Confirmed& event);
void suspectRecovered(Turn& turn, const Recovered& event);
void suspectRequested(Turn& turn, const Requested& event);
void suspectRestarted(Turn& turn, const RestartInPlaceResult& event);
void suspectTick(Turn& turn, const Tick& event);
void suspectCancel(Turn& turn, const Cancel& event);
void requestedNow(Turn& turn, const Requested& event);
void cancelNow(Turn& turn, const Cancel& event);

void decideGate(Turn& turn, const GateChanged& event);
void decideRecovered(Turn& turn, const Recovered& event);
void decideListed(Turn& turn, const SnapshotsListed& event);
void decideRepositoryDown(Turn& turn, const RepositoryDown& event);
void decideTick(Turn& turn, const Tick& event);

void heldDied(Turn& turn, const BackendDied& event);
void heldRecovered(Turn& turn, const Recovered& event);
void heldRequested(Turn& turn, const Requested& event);
void heldGate(Turn& turn, const GateChanged& event);
void heldListed(Turn& turn, const SnapshotsListed& event);
void heldRepositoryDown(Turn& turn, const RepositoryDown& event);
void heldApprove(Turn& turn, const Approve& event);
void heldSpareLost(Turn& turn, const SpareLost& event);
void heldReturned(Turn& turn, const OldReturned& event);
void heldTick(Turn& turn, const Tick& event);

void fenceEpochDurable(Turn& turn, const EpochDurable& event);
void fenceEpochFailed(Turn& turn, const EpochFailed& event);
void fenceWorkers(Turn& turn, const WorkersAcknowledged& event);
void fenceGone(Turn& turn, const ProcessesGone& event);
void fenceFailed(Turn& turn, const FenceFailed& event);
void fenceRescueProgress(Turn& turn, const RescueProgress& event);
void fenceRescued(Turn& turn, const RescueDone& event);
void fenceRescueFailed(Turn& turn, const RescueFailed& event);
void fenceTick(Turn& turn, const Tick& event);

void chooseListed(Turn& turn, const SnapshotsListed& event);
void chooseRepositoryDown(Turn& turn, const RepositoryDown& event);
void chooseClaimed(Turn& turn, const SpareClaimed& event);
void chooseNoSpare(Turn& turn, const NoSpare& event);
void choosePinned(Turn& turn, const SnapshotPinned& event);
void choosePinFailed(Turn& turn, const PinFailed& event);
void chooseStopped(Turn& turn, const ReplacementStopped& event);
void chooseStopFailed(Turn& turn, const StopFailed& event);
void chooseTick(Turn& turn, const Tick& event);

void restoreProgress(Turn& turn, const RestoreProgress& event);
void restoreDone(Turn& turn, const RestoreDone& event);
void restoreFailed(Turn& turn, const RestoreFailed& event);
void restoreTick(Turn& turn, const Tick& event);

void verifyTree(Turn& turn, const TreeVerified& event);
void verifyFailed(Turn& turn, const VerifyFailed& event);
void verifyHookDone(Turn& turn, const HookDone& event);
void verifyHookFailed(Turn& turn, const HookFailed& event);
void verifyActivated(Turn& turn, const Activated& event);
void verifyActivateFailed(Turn& turn, const ActivateFailed& event);
void verifyTick(Turn& turn, const Tick& event);

void startHookDone(Turn& turn, const HookDone& event);
void startHookFailed(Turn& turn, const HookFailed& event);
void startStarted(Turn& turn, const ServiceStarted& event);
void startFailed(Turn& turn, const StartFailed& event);
void startStopped(Turn& turn, const ReplacementStopped& event);
void startStopFailed(Turn& turn, const StopFailed& event);
void startGood(Turn& turn, const ChecksGood& event);
void startBad(Turn& turn, const ChecksBad& event);
void startTick(Turn& turn, const Tick& event);

void warmWorkers(Turn& turn, const WorkersAcknowledged& event);
void warmReleased(Turn& turn, const HeldReleased& event);
void warmRamped(Turn& turn, const RampDone& event);
void warmBad(Turn& turn, const ChecksBad& event);
void warmDied(Turn& turn, const BackendDied& event);
void warmSpareLost(Turn& turn, const SpareLost& event);
void warmTick(Turn& turn, const Tick& event);

void protectTaken(Turn& turn, const SnapshotTaken& event);
void protectFailed(Turn& turn, const SnapshotFailed& event);
void protectDied(Turn& turn, const BackendDied& event);
void protectConfirmed(Turn& turn, const Confirmed& event);
void protectSpareLost(Turn& turn, const SpareLost& event);
void protectTick(Turn& turn, const Tick& event);

// The same in several states.
void cancelWorking(Turn& turn, const Cancel& event);        // fence, choose, restore, verify, start
void cancelTooLate(Turn& turn, const Cancel& event);        // warm, protect
void workingSpareLost(Turn& turn, const SpareLost& event);  // choose, restore, verify, start
void workingReturned(Turn& turn,
                     const OldReturned& event);  // choose, restore, verify: may get its place back
void lateReturned(Turn& turn, const OldReturned& event);  // start, warm, protect: quarantined

}  // namespace regrow::recovery
