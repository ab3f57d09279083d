#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

// SQLite databases are copied by SQLite itself: reading the file while somebody writes gives pages
// of different transactions (measured: torn 6 times of 6), its online backup gives one
// transaction's end, write-ahead log included.
//
// A database in use is opened read-only in place: that takes locks and leaves no trace. One that
// nobody uses but that has a journal to roll back or a log to fold in would be changed by opening
// it, on a disk that may be the only copy; so such files are copied to a scratch directory first
// and opened there. Blocking; any thread.
namespace regrow::backup {

constexpr std::string_view kSqliteMagic{"SQLite format 3\0", 16};

struct SqliteCopyOptions {
    std::string scratch =
        "/var/tmp";  // a directory with room for the database (twice when `at_rest`)
    Duration busy = std::chrono::seconds(10);  // how long to wait for locks
    bool at_rest = false;  // nobody has it open (a dead server's disk): never touch it in place
};

// A whole database in an unlinked file, checked as a restore would check it: Code::corrupt when
// SQLite finds it damaged. Nothing when SQLite says it is no database, whatever its first bytes.
// The directory is given as a descriptor; `name` must not be a symlink.
Result<std::optional<UniqueFd>> copySqlite(int directory, const std::string& name,
                                           const SqliteCopyOptions& options);

// PRAGMA integrity_check without writing anything beside the file: what is wrong, a line each;
// empty when sound.
Result<std::vector<std::string>> checkSqlite(int directory, const std::string& name);

// Of "app.db-wal" the "app.db" it belongs to; empty when `path` has no such ending.
std::string_view sqliteOwner(std::string_view path);

}  // namespace regrow::backup
