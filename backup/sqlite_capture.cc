#include "backup/sqlite_capture.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <memory>
#include <thread>

#include "backup/tree_dir.h"
#include "base/file.h"

namespace regrow::backup {
namespace {

constexpr size_t kLongestSqlitePath =
    480;  // its unix layer takes 512 bytes, endings like "-journal" included
constexpr std::array<const char*, 3> kParts{"", "-wal", "-journal"};

struct CloseDb {
    void operator()(sqlite3* db) const { ::sqlite3_close_v2(db); }
};
using Db = std::unique_ptr<sqlite3, CloseDb>;

struct FinalizeStatement {
    void operator()(sqlite3_stmt* s) const { ::sqlite3_finalize(s); }
};

std::unexpected<Error> failSqlite(int result, sqlite3* db, std::string_view what) {
    const int kind = result & 0xff;
    const Code code = kind == SQLITE_BUSY || kind == SQLITE_LOCKED ? Code::timeout
                      : kind == SQLITE_FULL                        ? Code::no_space
                      : kind == SQLITE_CORRUPT                     ? Code::corrupt
                                                                   : Code::io;
    std::string message =
        fmt::format("{}: {}", what, db ? ::sqlite3_errmsg(db) : ::sqlite3_errstr(result));
    if (code == Code::timeout)
        message += " (another process holds it locked longer than we may wait)";
    return fail(code, Source::disk, std::move(message));
}

// A directory of our own that goes away with us, and with what we put into it.
class Scratch {
  public:
    static Result<Scratch> make(const std::string& parent) {
        std::string path = parent + "/regrow-sqlite-XXXXXX";
        if (!::mkdtemp(path.data()))
            return failErrno(errno, "making a scratch directory in " + parent);
        return Scratch(std::move(path));
    }
    explicit Scratch(std::string path) : path_(std::move(path)) {}
    Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    Scratch& operator=(Scratch&&) = delete;
    ~Scratch() {
        if (path_.empty()) return;
        for (const char* name : {"copy", "copy-journal", "copy-wal", "copy-shm", "db", "db-journal",
                                 "db-wal", "db-shm"})
            ::unlink(file(name).c_str());
        ::rmdir(path_.c_str());
    }
    std::string file(std::string_view name) const { return joinPath(path_, name); }

  private:
    std::string path_;
};

Result<Db> openDb(const std::string& path, int flags) {
    sqlite3* raw = nullptr;
    const int result = ::sqlite3_open_v2(
        path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    Db db(raw);
    if (result != SQLITE_OK) return failSqlite(result, raw, "opening the database");
    return db;
}

std::string descriptorPath(int fd) {
    std::string target(PATH_MAX, '\0');
    const ssize_t n =
        ::readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), target.data(), target.size());
    if (n <= 0 || static_cast<size_t>(n) == target.size()) return {};
    target.resize(static_cast<size_t>(n));
    return target;
}

// What backing up came to: done, or why not.
enum class Outcome { copied, not_a_database, not_in_place };

// Locks may come and go between our tries; SQLite's own busy handler waits within one.
int stepUntil(sqlite3_backup* backup, Instant deadline) {
    while (true) {
        const int result = ::sqlite3_backup_step(backup, -1);
        const bool busy = (result & 0xff) == SQLITE_BUSY || (result & 0xff) == SQLITE_LOCKED;
        if (!busy || Mono::now() >= deadline) return result;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

// SQLite's own busy timeout waits up to 100 ms between looks; a busy writer's pauses are shorter.
int waitABit(void* deadline, int) {
    if (Mono::now() >= *static_cast<const Instant*>(deadline)) return 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return 1;
}

Result<Outcome> backUp(sqlite3* from, const std::string& to, Duration busy) {
    REGROW_TRY(const Db target, openDb(to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    ::sqlite3_exec(target.get(), "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;", nullptr,
                   nullptr, nullptr);
    const Instant deadline = Mono::now() + busy;
    ::sqlite3_busy_handler(from, &waitABit, const_cast<Instant*>(&deadline));
    sqlite3_backup* backup = ::sqlite3_backup_init(target.get(), "main", from, "main");
    if (!backup)
        return failSqlite(::sqlite3_errcode(target.get()), target.get(), "starting the copy");
    const int stepped = stepUntil(backup, deadline);
    const int finished = ::sqlite3_backup_finish(backup);
    if (stepped == SQLITE_DONE && finished == SQLITE_OK) return Outcome::copied;
    switch (stepped & 0xff) {
        case SQLITE_NOTADB: return Outcome::not_a_database;
        case SQLITE_CANTOPEN:
        case SQLITE_READONLY: return Outcome::not_in_place;  // a journal to roll back first
        default:
            return failSqlite(stepped == SQLITE_DONE ? finished : stepped, target.get(),
                              "copying the database");
    }
}

// A file that nobody writes: no locks are taken and nothing is made beside it.
Result<Db> openStill(const std::string& path) {
    std::string uri = "file:";
    for (const char c : path) uri += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    return openDb(uri + "?immutable=1", SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
}

// What is wrong, a line each; empty when sound.
std::vector<std::string> integrity(sqlite3* db) {
    sqlite3_stmt* raw = nullptr;
    const int prepared = ::sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &raw, nullptr);
    const std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement(raw);
    if (prepared != SQLITE_OK) return {::sqlite3_errmsg(db)};
    std::vector<std::string> findings;
    int result = SQLITE_ROW;
    while ((result = ::sqlite3_step(raw)) == SQLITE_ROW) {
        const auto* text = reinterpret_cast<const char*>(::sqlite3_column_text(raw, 0));
        if (text && std::string_view(text) != "ok") findings.emplace_back(text);
    }
    if (result != SQLITE_DONE) findings.emplace_back(::sqlite3_errmsg(db));
    return findings;
}

// SQLite copies a damaged database without a word. The copy is what a restore will be asked about.
Result<> checkCopy(const std::string& path) {
    REGROW_TRY(const Db db, openStill(path));
    const auto findings = integrity(db.get());
    if (findings.empty()) return {};
    std::string finding = findings.front();
    std::ranges::replace(finding, '\n', ' ');
    return fail(Code::corrupt, Source::disk, finding);
}

Result<std::optional<UniqueFd>> takeOut(const Scratch& scratch) {
    const std::string path = scratch.file("copy");
    REGROW_CHECK(checkCopy(path));
    auto fd = openFile(path, O_RDONLY);
    if (!fd) return std::unexpected(std::move(fd.error()));
    ::unlink(path.c_str());
    return std::optional(std::move(*fd));
}

bool sameState(const struct stat& a, const struct stat& b) {
    return a.st_ino == b.st_ino && a.st_size == b.st_size && a.st_ctim.tv_sec == b.st_ctim.tv_sec &&
           a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

Result<> copyBytes(int from, int to) {
    std::string buffer(1 << 20, '\0');
    while (true) {
        const ssize_t n = ::read(from, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failErrno(errno, "reading the database");
        if (n == 0) return {};
        REGROW_CHECK(writeAll(to, std::string_view(buffer).substr(0, static_cast<size_t>(n)),
                              "the scratch copy"));
    }
}

// SQLite's writers lock bytes around 1 GiB of the main file; somebody there means that plain
// reading would tear.
bool writerPresent(int fd) {
    struct flock lock{};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 0x40000000;
    lock.l_len = 512;
    return ::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

// Database, log and journal, as they lie there: whole only if nobody wrote meanwhile, which is
// checked.
Result<bool> copyParts(int directory, const std::string& name, const Scratch& scratch) {
    std::array<struct stat, kParts.size()> before{};
    std::array<bool, kParts.size()> present{};
    for (size_t i = 0; i < kParts.size(); ++i)
        present[i] =
            ::fstatat(directory, (name + kParts[i]).c_str(), &before[i], AT_SYMLINK_NOFOLLOW) == 0;
    for (size_t i = 0; i < kParts.size(); ++i) {
        if (!present[i]) continue;
        const UniqueFd from(::openat(directory, (name + kParts[i]).c_str(),
                                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!from) return failErrno(errno, "opening the database");
        if (i == 0 && writerPresent(from.get())) return false;
        REGROW_TRY(const UniqueFd to, openFile(scratch.file(std::string("db") + kParts[i]),
                                               O_WRONLY | O_CREAT | O_TRUNC));
        REGROW_CHECK(copyBytes(from.get(), to.get()));
    }
    for (size_t i = 0; i < kParts.size(); ++i) {
        struct stat after{};
        const bool there =
            ::fstatat(directory, (name + kParts[i]).c_str(), &after, AT_SYMLINK_NOFOLLOW) == 0;
        if (there != present[i] || (there && !sameState(before[i], after))) return false;
    }
    return true;
}

// Nothing: somebody wrote meanwhile, or still does.
Result<std::optional<UniqueFd>> copyAtRest(int directory, const std::string& name,
                                           const SqliteCopyOptions& options, Outcome& outcome) {
    REGROW_TRY(const Scratch scratch, Scratch::make(options.scratch));
    outcome = Outcome::not_in_place;
    REGROW_TRY(const bool whole, copyParts(directory, name, scratch));
    if (!whole) return std::optional<UniqueFd>();
    REGROW_TRY(const Db db, openDb(scratch.file("db"), SQLITE_OPEN_READWRITE));
    REGROW_TRY(outcome, backUp(db.get(), scratch.file("copy"), options.busy));
    if (outcome != Outcome::copied) return std::optional<UniqueFd>();
    return takeOut(scratch);
}

// A database in WAL mode with no -shm beside it is not open anywhere, and opening it would make
// files there.
bool logWithoutUser(int directory, const std::string& name) {
    const UniqueFd fd(
        ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    char header[20] = {};
    if (!fd || ::pread(fd.get(), header, sizeof header, 0) != sizeof header) return true;
    return header[18] == 2 &&
           ::faccessat(directory, (name + "-shm").c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0;
}

// Nothing: not while things stand as they do. SQLite opens by path, so the file is looked at before
// and after.
Result<std::optional<UniqueFd>> copyInPlace(int directory, const std::string& name,
                                            const std::string& path,
                                            const SqliteCopyOptions& options, Outcome& outcome) {
    struct stat before{};
    struct stat after{};
    if (::fstatat(directory, name.c_str(), &before, AT_SYMLINK_NOFOLLOW) != 0)
        return failErrno(errno, "the database");
    REGROW_TRY(const Scratch scratch, Scratch::make(options.scratch));
    outcome = Outcome::not_in_place;
    if (auto db = openDb(path, SQLITE_OPEN_READONLY)) {
        REGROW_TRY(outcome, backUp(db->get(), scratch.file("copy"), options.busy));
    }
    if (outcome != Outcome::copied) return std::optional<UniqueFd>();
    if (::fstatat(directory, name.c_str(), &after, AT_SYMLINK_NOFOLLOW) != 0)
        return failErrno(errno, "the database");
    if (before.st_ino != after.st_ino)
        return fail(Code::unavailable, Source::disk,
                    "the database was replaced by another while it was copied");
    return takeOut(scratch);
}

}  // namespace

// A reader that may not roll back sees a hot journal at times where a writer is just done with it,
// so neither way is final before the deadline.
Result<std::optional<UniqueFd>> copySqlite(int directory, const std::string& name,
                                           const SqliteCopyOptions& options) {
    const std::string path = joinPath(descriptorPath(directory), name);
    const bool never_in_place =
        options.at_rest || path.size() > kLongestSqlitePath || path.front() != '/';
    const Instant deadline = Mono::now() + options.busy;
    while (true) {
        Outcome outcome = Outcome::not_in_place;
        if (!never_in_place && !logWithoutUser(directory, name)) {
            REGROW_TRY(auto copy, copyInPlace(directory, name, path, options, outcome));
            if (copy || outcome == Outcome::not_a_database) return copy;
        }
        REGROW_TRY(auto copy, copyAtRest(directory, name, options, outcome));
        if (copy || outcome == Outcome::not_a_database) return copy;
        if (Mono::now() >= deadline)
            return fail(Code::timeout, Source::disk,
                        "the database is being written by a process that lets nobody read it");
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

Result<std::vector<std::string>> checkSqlite(int directory, const std::string& name) {
    REGROW_TRY(const Db db, openStill(joinPath(descriptorPath(directory), name)));
    return integrity(db.get());
}

std::string_view sqliteOwner(std::string_view path) {
    for (const std::string_view ending : {"-wal", "-shm", "-journal"})
        if (path.ends_with(ending) && path.size() > ending.size())
            return path.substr(0, path.size() - ending.size());
    return {};
}

}  // namespace regrow::backup
