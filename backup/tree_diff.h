#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "backup/entry.h"

// What differs between two trees, name by name, in tree order. Pure. Content is compared by the ids
// of its pieces: nothing is read. (A file cut otherwise in the other snapshot would be told as
// modified; cuts depend on content alone, so that takes another kind of file, as when a file became
// a database.)
namespace regrow::backup {

enum class Change : uint8_t { added, removed, content, metadata, type };

// restic's letters: + - M U T.
char letterOf(Change change);

struct TreeDiff {
    uint64_t added = 0;
    uint64_t removed = 0;
    uint64_t modified = 0;       // content or type
    uint64_t touched = 0;        // metadata alone
    uint64_t added_bytes = 0;    // of added files, and of modified ones as they are after
    uint64_t removed_bytes = 0;  // of removed files, and of modified ones as they were before
};

// `before` or `after` is null where the name is in one of them only. Directories count as names;
// their times alone are no change: every name made or removed in them moves those.
using OnChange = std::function<void(Change, const Entry* before, const Entry* after)>;

TreeDiff diffTrees(std::span<const Entry> before, std::span<const Entry> after,
                   const OnChange& on_change);

}  // namespace regrow::backup
