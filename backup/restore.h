#pragma once

#include <string>
#include <vector>

#include "backup/metadata.h"
#include "backup/progress.h"
#include "backup/selection.h"
#include "backup/store.h"

// Bringing a snapshot back:
//
//   plan (pure) → directories → what is there already? → frames, by two workers → links →
//   directories' times → syncfs → verify the tree → done
//
// The target is empty or absent, or holds what an earlier run of the same restore left (then it
// goes on: see restore_journal.h), or, with `onto`, anything: then it is brought to the snapshot
// exactly, and only what differs is written; with a selection just the chosen names, and nothing
// beside them is touched. Every piece is accounted for: written by us, or
// compared with its id. One syncfs at the end makes all of it durable; a fsync per file costs
// several times more. The lineage marker in the target's root is not touched, except that a staging
// directory loses it before the first write.
//
// Holds a lock (flock) on the target while it works. Blocking; the proxy runs it in a child
// process.
namespace regrow::backup {

struct RestoreOptions {
    std::string target;
    bool onto = false;     // consent to change what is there
    bool staging = false;  // the target is a recovery's own: made ready for activate(), journal
                           // kept until then
    bool resume =
        false;  // with staging: whatever an earlier attempt left there may be changed as well
    Selection selection;  // what to restore; the rest of the target is nobody's business then
    unsigned workers = 2;
    bool check_databases = true;
    OnProgress progress;  // from any worker, one at a time
};

struct Restored {
    uint64_t bytes = 0;    // of regular files in the tree, as it stands now
    uint64_t files = 0;    // regular files, hard links counted once
    uint64_t fetched = 0;  // plain bytes taken from the repository
    uint64_t written = 0;
    uint64_t removed = 0;  // names that were in the way
    bool resumed = false;
    std::vector<Problem> problems;  // what this system could not hold: owners, attributes, devices
};

Result<Restored> restore(Store& store, const Snapshot& snapshot, const RestoreOptions& options);

}  // namespace regrow::backup
