#pragma once

#include <optional>
#include <span>
#include <string>

#include "backup/entry.h"

// What a capture decides, apart from how it reads. Pure.
namespace regrow::backup {

// A directory among the entries that must not be captured as plain files, and what to do instead.
// PostgreSQL's and Redis' files of a running server are of no single instant, whatever order they
// are read in.
std::optional<std::string> refusedDirectory(std::span<const Entry> entries);

// How many names of `before` are not in `now`; both in path order. The root does not count.
size_t vanished(std::span<const Entry> before, std::span<const Entry> now);

// More than half of what was there is gone, and at least ten names: likelier a disk that is not
// mounted, an application that set itself up anew, or a thief, than a day's work. Such a snapshot
// is held back for a person.
bool suspicious(size_t vanished, size_t before);

// Whether `now` may take its content from `parent` without being read. `log_time`: last
// write to the write-ahead log beside an SQLite database, whose changes do not touch the database
// file itself. (Its ctime will not do: SQLite, as root, gives the log's owner anew with each
// opening, ours too.)
bool contentUnchanged(const Entry& parent, const Entry& now, std::optional<TimeStamp> log_time);

// Whether two trees hold the same names with the same metadata; both in path order, content not
// looked at. Sizes of databases and all ctimes are left to contentUnchanged().
bool sameNames(std::span<const Entry> a, std::span<const Entry> b);

// How to cut a file that must be read. Rewritten in place (same inode, same size, other bytes)
// means pages.
ContentKind contentKind(const Entry* parent, const Entry& now, bool sqlite);

TimeStamp later(const TimeStamp& a, const TimeStamp& b);

}  // namespace regrow::backup
