#pragma once

#include "backup/metadata.h"
#include "backup/progress.h"
#include "backup/selection.h"
#include "backup/store.h"

// A snapshot as a tar stream, in tree order: pax headers (POSIX.1-2001), so that times are exact,
// names are any bytes and sizes have no limit; holes as GNU's sparse format 1.0; extended
// attributes (ACLs and capabilities among them) as SCHILY.xattr; further names of an inode as hard
// links. GNU tar takes all of it back with `tar -x --xattrs --xattrs-include='*'`. Written by
// libarchive.
//
// Every piece is checked by its seal before it is written. After an error the stream has no end
// marker, so a reader sees that it was cut. Memory: the tree, and some frames. Blocking.
namespace regrow::backup {

struct Streamed {
    uint64_t files = 0;  // regular files; hard links counted once
    uint64_t bytes = 0;
    std::vector<Problem> problems;  // names that tar has no place for
};

// `fd` is written to from its position on and stays open.
Result<Streamed> writeTar(Store& store, const Snapshot& snapshot, const Selection& selection,
                          int fd, const OnProgress& progress);

}  // namespace regrow::backup
