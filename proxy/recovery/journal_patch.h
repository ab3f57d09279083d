#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/recovery/journal.h"

// One record's changes to Saved, all or nothing: for each changed thing its new value, or null
// where it is gone. The whole of Saved is the patch that makes it out of nothing, so compaction and
// replay need no code of their own.
//
// JSON: {"boot", "mono", "wall", <what>: [{"pool", "name", "value"}, …], …}. Instants are relative
// to the writing; boot id, monotonic and wall time say when that was: exactly within one boot, by
// the wall clock (never backwards) across boots.
namespace regrow::recovery {

template <class T>
struct Change {
    std::string pool;
    std::string name;  // backend or server; empty where the pool alone is the key
    std::optional<T> value;
};

struct Patch {
    std::vector<Change<Assignment>> assignments;
    std::vector<Change<BackendFlags>> flags;
    std::vector<Change<RecoveryState>> recoveries;
    std::vector<Change<FlapHistory>> flaps;
    std::vector<Change<ServerRecord>> servers;
    std::vector<Change<ProcessRecord>> processes;
    std::vector<Change<Budget>> budgets;
    std::vector<Change<PastRecovery>> past;  // appended
    std::vector<Change<std::string>> repositories;
    std::optional<bool> paused;
    std::optional<uint64_t> event_seq;
};

void apply(const Patch& patch, Saved& saved);
Patch wholeOf(const Saved& saved);
std::string toJson(const Patch& patch, const Clock& clock);
Result<Patch> patchFromJson(std::string_view text, const Clock& clock);

}  // namespace regrow::recovery
