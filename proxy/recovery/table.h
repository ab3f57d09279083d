#pragma once

#include <array>

#include "proxy/recovery/machine_turn.h"

// Which state takes which event: the whole machine at a glance is in table.cc. A cell is a handler,
// or `ignore` where an event means nothing; an empty cell, or one given twice, does not compile.
// pg_auto_failover's machine deadlocked on unreachable goals again and again until its transitions
// became one checked table; ours starts as one.
namespace regrow::recovery {

using Handler = void (*)(Turn& turn, const EventBody& event);

struct Table {
    std::array<std::array<Handler, kEvents>, kStates> cells{};
    Handler at(State state, const EventBody& event) const {
        return cells[static_cast<size_t>(state)][event.index()];
    }
};

const Table& table();
void ignore(Turn& turn, const EventBody& event);

// Whether an event is the answer to a command, to which ones, and whether the command is over with
// it.
bool isAnswer(const EventBody& event);
bool answers(const EventBody& event, Action action);
bool isFinal(const EventBody& event);

}  // namespace regrow::recovery
