#pragma once

#include <string>
#include <vector>

#include "backup/metadata.h"
#include "backup/progress.h"
#include "backup/store.h"
#include "base/clock.h"

// Taking a snapshot of a directory:
//
//   walk the tree → refuse what must not be captured → read what changed since the parent → publish
//   → prove
//
// Crash-consistent file by file: each regular file is read between two looks at it, and read again
// when they differ, a bounded number of times; SQLite databases are whole transactions
// (sqlite_capture.h); a damaged one is kept as the plain bytes it has, and the snapshot is
// incomplete and says so. A full capture reads all again; an incremental takes the content of files
// whose size, times and inode are the parent's from the parent. Both restore alone. Nothing changed
// means nothing is written.
//
// Blocking, one thread; the proxy runs it in a child process.
namespace regrow::backup {

struct CaptureOptions {
    std::string path;  // the data directory
    std::string name;  // of the snapshots: POOL/BACKEND
    bool full = false;
    std::vector<std::string> exclude;
    uint64_t epoch = 0;   // 0: the parent's
    std::string lineage;  // empty: the parent's, or a new one
    bool rescue = false;  // from a dead server's disk: databases are not touched in place
    bool prove = true;
    bool expect_marker = false;    // refuse unless the lineage marker says name, lineage and epoch
    bool accept_vanished = false;  // most files gone is meant
    bool accept_empty = false;     // everything gone is meant
    std::string scratch = "/var/tmp";
    Duration database_wait = std::chrono::seconds(10);
    OnProgress progress;
};

struct Captured {
    Snapshot snapshot;  // the parent when unchanged
    bool unchanged = false;
    std::vector<Problem> problems;
};

Result<Captured> capture(Store& store, const CaptureOptions& options);

}  // namespace regrow::backup
