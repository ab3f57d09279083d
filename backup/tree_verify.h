#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "backup/digest.h"
#include "backup/metadata.h"
#include "backup/progress.h"
#include "backup/selection.h"
#include "backup/tree_dir.h"

// Whether a tree on disk is the snapshot's: the exact set of names, types, sizes, metadata, which
// names share an inode; content too when a mac is given; and SQLite's own check of the databases.
// Blocking; any thread.
namespace regrow::backup {

struct TreeVerifyOptions {
    const Mac* mac = nullptr;     // re-read and compare all content (the store's chunk mac)
    bool check_databases = true;  // PRAGMA integrity_check on what was captured as SQLite
    std::set<std::string>
        excused;  // paths whose attributes or owner could not be set, or that could not be made
    const Selection* selection = nullptr;  // only what it covers is looked at; null: everything
    OnProgress progress;
};

// A line each, "path: what"; empty when all is right. At most 100; an error means that looking
// itself failed.
Result<std::vector<std::string>> verifyTree(const TreeDir& root, std::span<const Entry> entries,
                                            const TreeVerifyOptions& options);

}  // namespace regrow::backup
