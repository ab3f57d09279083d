#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "backup/entry.h"
#include "base/result.h"

// From a manifest to the work of a restore. Pure: numbers below are indexes into the manifest's
// entries.
//
// Order is what makes a restore fast: packs are read front to back, each frame once, whichever
// files it serves; frames of small files lie in path order, so neighbours share a directory.
namespace regrow::backup {

// What each name is to the restore.
struct TreePlan {
    std::vector<uint32_t> directories;  // path order, the root first
    std::vector<uint32_t> files;        // regular; of hard links the first in path order
    struct Link {
        uint32_t entry;
        uint32_t first;  // the name in `files` or `others` it is another name of
    };
    std::vector<Link> links;
    std::vector<uint32_t> others;  // symlinks, fifos, devices
};

// Code::corrupt, naming the path, for a tree that cannot be one: a name twice or out of order,
// "..", a parent that is no directory, pieces outside their file or over each other.
Result<TreePlan> planTree(std::span<const Entry> entries);

struct PieceRef {
    uint32_t entry;
    uint32_t piece;
};

struct FrameRead {
    uint32_t pack;
    uint32_t frame;
    uint32_t first_piece;  // in ReadPlan::pieces
    uint32_t pieces;
};

// What one worker takes at a time.
struct Run {
    uint32_t first_frame;  // in ReadPlan::frames; all of one pack
    uint32_t frames;
    uint64_t bytes;
};

struct ReadPlan {
    std::vector<PieceRef> pieces;  // by pack, frame and place within it
    std::vector<FrameRead> frames;
    std::vector<Run> runs;
    std::vector<uint32_t> pending;  // pieces still to be written, one count an entry
    uint64_t bytes = 0;
};

constexpr uint64_t kRunBytes = 8 << 20;

ReadPlan planReads(std::span<const Entry> entries, const TreePlan& tree,
                   const std::function<bool(PieceRef)>& needed);

}  // namespace regrow::backup
