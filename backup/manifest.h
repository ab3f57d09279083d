#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "backup/digest.h"
#include "backup/entry.h"
#include "base/clock.h"
#include "base/result.h"

// What a snapshot says about itself: a small record apart from its tree, so that listing reads no
// tree. The tree (backup/tree.h) hangs at `root`. Values; the codec is pure and takes any bytes
// without harm.
namespace regrow::backup {

enum class SnapshotType : uint8_t { full = 0, incremental = 1 };

enum SnapshotFlag : uint32_t {
    kIncomplete = 1,  // something could not be read: see problems
    kRescue = 2,      // taken from a dead server's disk
    kExact = 4,       // one instant: a barrier held, or a frozen copy was read
    kSuspicious = 8,  // most of its parent's files were gone: held back, never chosen automatically
};

struct SnapshotHeader {
    std::string name;     // POOL/BACKEND, or any 1 to 255 bytes without control characters
    uint64_t number = 0;  // per name; grows by one with each publish. The store sets it
    uint64_t epoch = 0;   // the server's; never lower than the newest snapshot's
    std::string
        lineage;  // of which data this is a later state; inherited from the parent, new with none
    WallTime captured_at;  // when the content was that of the source; what --at goes by
    WallTime finished_at;  // by this machine's clock; the repository's is ObjectInfo::stored_at
    SnapshotType type = SnapshotType::full;
    uint32_t flags = 0;
    std::string capture;  // how it was read, for people: "directory", "directory, barrier 80 ms"
    std::string host;
    std::string source;  // path on that host
    bool has_parent = false;
    SnapshotId parent{};  // hash of the parent's object: a store rolled back cannot fake it
    uint64_t parent_number = 0;

    uint64_t files = 0;  // regular
    uint64_t directories = 0;
    uint64_t others = 0;
    uint64_t bytes = 0;                 // apparent, of regular files
    uint64_t new_bytes = 0;             // plain bytes that were not in the repository before
    uint64_t stored_bytes = 0;          // what its new packs take
    std::vector<std::string> problems;  // the first kMaxProblems, one line each
    uint64_t problems_total = 0;

    // The tree's root node follows this header in the same object. Equal ids: equal trees, to the
    // last time stamp.
    ChunkId tree_id{};
    Digest tree_hash{};  // SHA-256 of the root's section as stored: the snapshot's id covers it
                         // through this
};

constexpr size_t kMaxProblems = 100;
constexpr size_t kMaxProblemLength = 512;

std::string encodeHeader(const SnapshotHeader& header);
Result<SnapshotHeader> decodeHeader(std::string_view bytes);  // Code::corrupt

bool validSnapshotName(std::string_view name);

}  // namespace regrow::backup
