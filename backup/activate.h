#pragma once

#include <functional>
#include <optional>
#include <string>

#include "backup/lineage.h"
#include "base/result.h"

// A verified restored tree takes the place of a backend's data, and READY is written last:
//
//   1. marker into staging: whose tree this is, staged for this recovery, not READY
//   2. data → data.regrow-old-RECOVERY   (kept: nobody here deletes the only copy of anything)
//   3. staging → data
//   4. fsync of the parent directory
//   5. marker with READY, written anew in data
//
// Each step is durable before the next, and each leaves a state that tells where to go on: running
// activate() again with the same request after a crash at any point finishes it; after it was
// finished, again changes nothing. Rejected: exchanging the two names in one rename
// (RENAME_EXCHANGE): it fails on NFS and leaves the old tree under the staging name, where the next
// recovery would take it for its own.
//
// A mount point cannot be renamed; it is refused, with the advice to use a directory below it.
namespace regrow::backup {

struct ActivateRequest {
    std::string staging;
    std::string data;
    std::string backend;  // POOL/NAME
    std::string lineage;
    std::string recovery;
    uint64_t epoch = 0;
    std::string snapshot;
};

struct Activated {
    std::string digest;
    std::optional<std::string> old;  // where the previous data is kept; nothing when there was none
};

// `at_step` is told the number of each step before it is done, for tests that end the process
// there.
Result<Activated> activate(const ActivateRequest& request,
                           const std::function<void(int step)>& at_step = {});

// SHA-256 over names, types, modes, sizes and times of the tree, the marker and the root's own time
// left out.
Result<std::string> treeDigest(const std::string& path);

// The first marker of a backend that never existed. The same marker already there is success;
// another, or one that cannot be read, is Code::refused.
Result<> writeFirstMarker(const std::string& data, const Marker& marker);

}  // namespace regrow::backup
