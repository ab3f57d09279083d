#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backup/entry.h"
#include "backup/glob.h"
#include "backup/lineage.h"
#include "base/clock.h"

// May a server be started again on its own disk, or rescued from it, after it died? Only if the
// disk earned it: the marker is intact, nothing was changed after the exit, and most of the newest
// manifest's names are there.
//
// Names that are gone say little by themselves: services delete files, temporary ones between one
// snapshot and the next. Whoever deleted them after the exit has changed the directory they were
// in, and that is seen. (Rejected: any vanished name is reason enough. It refused the rescue of
// every server that uses temporary files, and so lost acknowledged writes that lay safe on the
// disk.)
namespace regrow::backup {

struct UntouchedQuestion {
    std::string data;
    std::span<const Entry> manifest;  // of the newest snapshot
    WallTime exited_at;
    Duration slack = std::chrono::milliseconds(
        20);                       // between the last write of a process and our note of its end
    std::optional<Marker> marker;  // backend, lineage, epoch it must have; absent: any readable one
    bool needs_marker = true;
};

// Reasons why not; empty means untouched. At most a few of each kind are named. Code errors become
// reasons too: what cannot be looked at has not earned trust.
std::vector<std::string> reasonsAgainst(const UntouchedQuestion& question);

}  // namespace regrow::backup
