#include <fmt/format.h>

#include "proxy/recovery/handlers.h"

// From a chosen snapshot to data that may be started: restore into staging, verify, activate with
// READY last.
namespace regrow::recovery {
namespace {

constexpr int kRetries = 2;  // of a step that failed for a reason that may pass
constexpr int kStallsInARow =
    3;  // without a byte in between: then it is the repository that is held responsible

void askRestore(Turn& turn) {
    turn.due(turn.policy().stall);
    turn.ask(Action::restore, turn.policy().stall);
}

void askActivate(Turn& turn) {
    turn.due(turn.policy().activate);
    turn.ask(Action::activate, turn.policy().activate);
}

void activateAgain(Turn& turn, const std::string& why) {
    if (++turn.s.tries > kRetries)
        return giveUpSpare(turn, Action::mark_spare_dirty,
                           fmt::format("activation failed: {}", why));
    turn.say(fmt::format("activation failed, once more: {}", why));
    askActivate(turn);
}

}  // namespace

void enterRestore(Turn& turn) {
    auto& s = turn.s;
    turn.enter(State::restore, fmt::format("snapshot {} onto {}", s.snapshot->shortId(), s.spare),
               turn.policy().stall);
    s.spare_written = true;
    s.done_bytes = s.total_bytes = 0;
    askRestore(turn);
}

void restoreProgress(Turn& turn, const RestoreProgress& event) {
    turn.changed = false;
    turn.s.total_bytes = event.total_bytes;
    if (event.done_bytes <= turn.s.done_bytes) return;
    turn.s.done_bytes = event.done_bytes;
    turn.s.tries = 0;
    turn.due(turn.policy().stall);
}

void restoreDone(Turn& turn, const RestoreDone& event) {
    turn.s.done_bytes = event.bytes;
    turn.s.restore_took = turn.now - turn.s.entered;
    enterVerify(turn);
}

void restoreFailed(Turn& turn, const RestoreFailed& event) {
    using enum RestoreFailed::Kind;
    switch (event.kind) {
        case bad_chunk: return giveUpSnapshot(turn, event.text);
        case repository_down: return hold(turn, HeldReason::repository, State::choose, event.text);
        case spare_lost: return giveUpSpare(turn, Action::mark_spare_lost, event.text);
        case no_space: return giveUpSpare(turn, Action::mark_spare_dirty, event.text);
        case other: break;
    }
    if (++turn.s.tries > kRetries) return doubt(turn, event.text);
    turn.say(fmt::format("restore failed, going on where it was: {}", event.text));
    askRestore(turn);
}

void restoreTick(Turn& turn, const Tick&) {
    if (!turn.deadlinePassed()) return;
    turn.tell(Action::abort_step, "restore makes no progress");
    if (++turn.s.tries >= kStallsInARow)
        return hold(turn, HeldReason::repository, State::choose,
                    "the restore stalled again and again");
    turn.say("no progress: going on where it was");
    askRestore(turn);
}

void enterVerify(Turn& turn) {
    turn.enter(State::verify, fmt::format("{} bytes restored", turn.s.done_bytes),
               turn.policy().verify);
    turn.ask(Action::verify_tree, turn.policy().verify);
}

void verifyTree(Turn& turn, const TreeVerified& event) {
    turn.say(fmt::format("tree verified ({})", event.digest));
    if (!turn.policy().verify_hook) return askActivate(turn);
    turn.due(turn.policy().verify_hook_timeout);
    turn.ask(Action::run_verify_hook, turn.policy().verify_hook_timeout);
}

void verifyFailed(Turn& turn, const VerifyFailed& event) {
    if (event.repository_down) return hold(turn, HeldReason::repository, State::choose, event.text);
    giveUpSnapshot(turn, event.text);
}

void verifyHookDone(Turn& turn, const HookDone&) {
    askActivate(turn);
}

void verifyHookFailed(Turn& turn, const HookFailed& event) {
    giveUpSnapshot(turn, fmt::format("the verify hook says no: {}", event.text));
}

void verifyActivated(Turn& turn, const Activated&) {
    enterStart(turn);
}

void verifyActivateFailed(Turn& turn, const ActivateFailed& event) {
    activateAgain(turn, event.text);
}

void verifyTick(Turn& turn, const Tick&) {
    if (!turn.deadlinePassed()) return;
    turn.tell(Action::abort_step, "no answer in time");
    if (turn.awaits(Action::activate)) return activateAgain(turn, "no answer in time");
    giveUpSnapshot(turn, turn.awaits(Action::run_verify_hook)
                             ? "the verify hook did not end in time"
                             : "verification did not end in time");
}

}  // namespace regrow::recovery
