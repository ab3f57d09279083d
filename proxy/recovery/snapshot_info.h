#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"

namespace regrow::recovery {

// A snapshot as the verbs report it in JSON and as decisions see it: what there is to choose from.
// A value.
struct SnapshotInfo {
    std::string id;    // what --at takes
    std::string name;  // POOL/BACKEND
    uint64_t number = 0;
    uint64_t epoch = 0;
    std::string lineage;
    WallTime time;     // of the captured content
    std::string type;  // full | incremental
    uint64_t bytes = 0;
    uint64_t files = 0;
    uint64_t new_bytes = 0;
    bool proven = false;      // its bytes were read back and match
    bool incomplete = false;  // something could not be read: see problems
    bool suspicious = false;  // most files vanished since the one before: for a person to judge
    bool rescue = false;      // taken from a dead server's disk
    std::vector<std::string> problems;
};

struct RepositorySpace {
    uint64_t bytes = 0;
    uint64_t free_bytes = 0;
};

}  // namespace regrow::recovery
