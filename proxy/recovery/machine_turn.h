#pragma once

#include <string>
#include <utility>
#include <vector>

#include "proxy/recovery/machine.h"

// One step of the machine while it is being worked out: the state to be, and the commands so far.
// Handlers (machine_*.cc) get a Turn and one event; they change `s` and ask for commands, nothing
// else. Lives for one call of step().
namespace regrow::recovery {

struct Turn {
    RecoveryState s;
    const Context& context;
    Instant now;
    std::vector<Command> commands;
    bool changed = true;  // to be journalled; handlers of progress set it to false
    std::string note;
    Action answered = Action::notify;  // the command this event answers, when it is an answer

    const Policy& policy() const { return context.policy; }

    // Leaves the state: its time is recorded, answers it still waited for are no longer wanted, and
    // the deadline starts anew.
    void enter(State state, std::string reason, std::optional<Duration> deadline);
    void ask(Action action, Duration timeout);  // a command whose answer is awaited
    void tell(Action action, std::string text = {}, bool alarm = false);
    bool awaits(Action action) const;
    void drop(Action action);  // its answer is no longer wanted
    void due(Duration from_now) { s.deadline = now + from_now; }
    bool deadlinePassed() const { return s.deadline && now >= *s.deadline; }
    bool retryDue() const { return s.retry_at && now >= *s.retry_at; }
    void say(const std::string& text);  // adds to the note
};

Command command(const RecoveryState& state, Action action, uint32_t step);

// Whole moves, used from several states.
void enterDecide(Turn& turn, std::string reason);
void enterFence(Turn& turn, std::string reason);
void enterChoose(Turn& turn, std::string reason);
void enterRestore(Turn& turn);
void enterVerify(Turn& turn);
void enterStart(Turn& turn);
void enterWarm(Turn& turn);
void enterProtect(Turn& turn, std::string reason);
void hold(Turn& turn, HeldReason reason, State from, std::string text);
void finish(Turn& turn, State terminal_state, std::string reason);
void backToSteady(Turn& turn, std::string reason);

void addEvidence(Turn& turn, EvidenceKind kind, const std::string& text);
// Continues a fence (from fence, or from held(unfenced)) with what is known by now.
void advanceFence(Turn& turn);
void askFence(Turn& turn);
// To the rescue that the repository did not answer for; false: none is owed.
bool rescueAgain(Turn& turn);
void noteRepositoryDown(Turn& turn);
// The chosen snapshot does not restore, verify or start: never again in this recovery.
void giveUpSnapshot(Turn& turn, const std::string& why);
// The spare cannot do its part, which says nothing about the snapshot: the same one goes to another
// spare. Without another the spare is kept and tried again, held.
void spareFails(Turn& turn, const std::string& why);
// It may be the snapshot or the spare: the same snapshot has one more spare to prove itself on,
// when there is one; then the one before it is next.
void doubt(Turn& turn, const std::string& why);
// The spare is of no use: `how` is mark_spare_dirty, mark_spare_lost, … ; another will be claimed.
void giveUpSpare(Turn& turn, Action how, const std::string& why);
void releaseSpare(Turn& turn, const std::string& why);     // free, or dirty when written to
void loseReplacement(Turn& turn, const std::string& why);  // it served, and died while warming

}  // namespace regrow::recovery
