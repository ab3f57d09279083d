#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backup/entry.h"
#include "backup/glob.h"
#include "backup/metadata.h"
#include "backup/tree_dir.h"

// What is in a tree: every name with its metadata, in path order (pathLess), the root itself first
// with path "". Never leaves the root through a symlink; crosses mount points, for they are part of
// what a service sees as its data. The lineage marker `.regrow` in the root belongs to the place,
// not to the data: it is always left out.
//
// A tree that changes meanwhile is normal: names that vanish between being listed and being looked
// at are simply not there. What cannot be read is a problem that breaks the promise of the
// snapshot. Blocking; any thread.
namespace regrow::backup {

struct WalkOptions {
    const PathPatterns* exclude = nullptr;
    bool with_xattrs = true;
    bool with_sockets = false;  // a restore must know what stands in its way
    // Asked for each name; a non-null answer of the same inode and ctime lends its xattrs, so they
    // are not read again.
    std::function<const Entry*(const std::string& path)> known;
};

struct WalkResult {
    std::vector<Entry> entries;     // content not read: pieces empty, kind plain
    std::vector<uint64_t> devices;  // st_dev, one an entry
    std::vector<uint64_t> links;    // st_nlink, one an entry
    std::vector<Problem> problems;  // sockets (left out), unreadable names
};

// Fails when the root itself cannot be listed.
Result<WalkResult> walk(const TreeDir& root, const WalkOptions& options);

bool isMarkerName(std::string_view path);

}  // namespace regrow::backup
