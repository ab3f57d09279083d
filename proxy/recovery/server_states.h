#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

// What a server is to its pool, as a small pure machine. Changes are journalled in the same record
// as the recovery that causes them, so a crash can never leave a spare claimed by nobody, or free
// while it is being written to.
//
//     free → claimed → in_use → quarantined → free (released; rebuilt by delta at its next use)
//              ↓ ↘ dirty → free (released)
//             lost → free (released)
namespace regrow::recovery {

enum class ServerState {
    free,     // a spare that fills no place
    claimed,  // by one recovery, which alone may write to it
    in_use,   // fills a place
    dirty,    // holds parts of a copy; needs a person, or is cleaned by the next claim of the same
              // lineage
    quarantined,  // its data is kept and it gets no traffic
    lost,         // does not answer
};

enum class ServerChange { claim, give_back, use, soil, quarantine, lose, release };

struct ServerRecord {
    ServerState state = ServerState::free;
    std::string reason;      // why it is not free
    std::string claimed_by;  // recovery id, while claimed
    friend bool operator==(const ServerRecord&, const ServerRecord&) = default;
};

// Code::refused, in words for the operator, when `record` cannot take the change. `by`: the
// recovery that asks; only the one that claimed a server may use, soil, lose or give it back.
// Repeating a change that was made is not an error.
Result<ServerRecord> change(const ServerRecord& record, ServerChange what, const std::string& by,
                            const std::string& reason);

std::string_view name(ServerState state);
Result<ServerState> serverStateFromName(std::string_view text);
std::string_view name(ServerChange change);

}  // namespace regrow::recovery
