#include "backup/capture.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <ranges>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "backup/capture_rules.h"
#include "backup/content_reader.h"
#include "backup/lineage.h"
#include "backup/read_ahead.h"
#include "backup/sqlite_capture.h"
#include "backup/tree_dir.h"
#include "backup/walk.h"

namespace regrow::backup {
namespace {

constexpr int kReads = 3;                                 // of a file that changes under us
constexpr uint64_t kLargestReread = uint64_t{256} << 20;  // beyond, once must do
constexpr std::string_view kDamagedDatabase = "the SQLite database is damaged";

std::unexpected<Error> refuse(std::string message) {
    return fail(Code::refused, Source::disk, std::move(message));
}

// A file changed within the clock tick in which we read it could keep its ctime. So reading starts
// only once the tick of the last change is over (at most 10 ms).
void letTickPass(const timespec& changed) {
    for (int i = 0; i < 20; ++i) {
        timespec now{};
        ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
        if (now.tv_sec != changed.tv_sec ? now.tv_sec > changed.tv_sec
                                         : now.tv_nsec > changed.tv_nsec)
            return;
        if (changed.tv_sec > now.tv_sec + 1) return;  // a clock that was set back is not waited for
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

UniqueFd openForReading(int directory, const std::string& name) {
    constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    UniqueFd fd(::openat(directory, name.c_str(), kFlags | O_NOATIME));
    if (!fd && errno == EPERM) fd.reset(::openat(directory, name.c_str(), kFlags));  // not our file
    return fd;
}

struct History {
    std::optional<Snapshot> parent;  // the newest whose tree can be read
    std::vector<Entry> tree;         // of the parent
    std::vector<Entry> baseline;     // of the newest not suspicious, when that is another one
    bool parent_suspicious = false;
    std::string
        damaged;  // what is wrong with a newer one; then a new snapshot is written, changed or not

    const std::vector<Entry>& trusted() const { return parent_suspicious ? baseline : tree; }
};

// A damaged snapshot must not end all further ones: the parent is the newest that can be read, and
// what the damaged pack held is stored again (reading it has listed the pack as bad).
Result<> takeNewestReadable(Store& store, const SnapshotList& list, History& history) {
    for (const Snapshot& snapshot : list.snapshots | std::views::reverse) {
        auto tree = store.tree(snapshot);
        if (tree) {
            history.parent = snapshot;
            history.tree = std::move(*tree);
            return {};
        }
        if (tree.error().code != Code::corrupt && tree.error().code != Code::not_found)
            return std::unexpected(std::move(tree).error());
        if (history.damaged.empty()) history.damaged = tree.error().message;
    }
    return {};
}

Result<History> loadHistory(Store& store, const std::string& name) {
    REGROW_TRY(const SnapshotList list, store.snapshots().list(name));
    History history;
    if (list.snapshots.empty()) {
        if (list.damaged.empty()) return history;
        return std::unexpected(Error(list.damaged.back().error).in("the snapshots of " + name));
    }
    REGROW_CHECK(takeNewestReadable(store, list, history));
    if (!history.parent) return history;
    history.parent_suspicious = (history.parent->header.flags & kSuspicious) != 0;
    if (!history.parent_suspicious) return history;
    for (const Snapshot& snapshot : list.snapshots | std::views::reverse) {
        if (snapshot.header.flags & kSuspicious) continue;
        REGROW_TRY(history.baseline, store.tree(snapshot));
        break;
    }
    return history;
}

class Capture {
  public:
    Capture(Store& store, const CaptureOptions& options)
        : store_(store), options_(options), exclude_(options.exclude) {}

    Result<Captured> run() {
        REGROW_TRY(history_, loadHistory(store_, options_.name));
        REGROW_CHECK(openRoot());
        REGROW_CHECK(walkTree());
        REGROW_CHECK(checkTree());
        REGROW_TRY(const bool nothing_to_do, nothingChanged());
        if (nothing_to_do)
            return Captured{.snapshot = *history_.parent, .unchanged = true, .problems = problems_};
        REGROW_TRY(writer_, store_.writer(options_.prove));
        REGROW_CHECK(readAll());
        REGROW_CHECK(checkStillOurs());
        REGROW_TRY(Published published, writer_->publish(draft(), std::move(tree_.entries)));
        return prove(std::move(published));
    }

  private:
    bool hasHistory() const {
        if (!history_.parent && !history_.damaged.empty()) return true;
        return std::ranges::any_of(history_.trusted(),
                                   [](const Entry& e) { return !e.path.empty(); });
    }

    Result<> openRoot() {
        captured_at_ = Wall::now();
        auto root = TreeDir::open(options_.path);
        if (!root && root.error().code == Code::not_found && hasHistory())
            return refuse(fmt::format(
                "{} is not there, but {} has snapshots with data: is a disk not mounted? Nothing "
                "was captured; `regrow restore` brings the data back",
                options_.path, options_.name));
        if (!root) return std::unexpected(std::move(root.error()).in("the data directory"));
        root_.emplace(std::move(*root));
        return checkMarker();
    }

    Result<> checkMarker() const {
        if (!options_.expect_marker) return {};
        REGROW_CHECK(requireMarker(options_.path, options_.name, options_.lineage, options_.epoch));
        return {};
    }

    // What was captured while the directory was swapped or given to another epoch is nobody's
    // state.
    Result<> checkStillOurs() const {
        struct stat open{};
        struct stat named{};
        if (::fstat(root_->root(), &open) != 0) return failErrno(errno, options_.path);
        if (::stat(options_.path.c_str(), &named) != 0 || open.st_ino != named.st_ino ||
            open.st_dev != named.st_dev)
            return refuse(options_.path +
                          " was replaced while it was captured: the snapshot is discarded");
        return checkMarker();
    }

    Result<> walkTree() {
        for (const Entry& entry : history_.tree) known_.emplace(entry.path, &entry);
        const WalkOptions how{
            .exclude = &exclude_, .with_xattrs = true, .known = [&](const std::string& path) {
                const Entry* entry = parentOf(path);
                return entry && entry->type == EntryType::regular ? entry : nullptr;
            }};
        tell("walk", 0, 0);
        REGROW_TRY(tree_, walk(*root_, how));
        problems_ = std::move(tree_.problems);
        if (!history_.damaged.empty())
            problems_.push_back({"", "a snapshot before this one is damaged: " + history_.damaged});
        for (const Entry& entry : tree_.entries)
            if (entry.type == EntryType::regular && entry.path.ends_with("-wal"))
                logs_.emplace(entry.path, entry.size ? std::optional(entry.mtime) : std::nullopt);
        rememberDamage();
        return {};
    }

    // What was found of a database that has not changed since is not found out again, and as true.
    void rememberDamage() {
        if (!history_.parent) return;
        for (const std::string& told : history_.parent->header.problems) {
            const size_t at = told.find(": " + std::string(kDamagedDatabase));
            if (at != std::string::npos) damage_.emplace(told.substr(0, at), told.substr(at + 2));
        }
        if (damage_.empty()) return;
        for (const Entry& entry : tree_.entries) {
            const auto known = damage_.find(printable(entry.path));
            if (known != damage_.end() && unchanged(entry))
                problems_.push_back({entry.path, known->second, true});
        }
    }

    Result<> checkTree() {
        if (auto refused = refusedDirectory(tree_.entries))
            return refuse(options_.path + ": " + *refused);
        if (tree_.entries.size() == 1 && hasHistory() && !options_.accept_empty)
            return refuse(fmt::format(
                "{} is empty, but {} has snapshots with data: an empty snapshot would hide them. "
                "Is a disk not mounted? If it is meant: --accept-empty",
                options_.path, options_.name));
        const auto& before = history_.trusted();
        const size_t gone = vanished(before, tree_.entries);
        suspicious_ = !options_.accept_vanished && !options_.accept_empty &&
                      suspicious(gone, before.empty() ? 0 : before.size() - 1);
        if (suspicious_)
            problems_.push_back(
                {"", fmt::format("{} of {} names of the snapshot before are gone: held back, never "
                                 "chosen automatically. If it is meant: --accept-vanished",
                                 gone, before.size() - 1)});
        return {};
    }

    // Decided by the walk alone, so that "nothing changed" opens no file and writes no byte. Where
    // packs are known to be bad, the long way is taken: it stores again what they held.
    Result<bool> nothingChanged() {
        countWork();
        if (total_files_ || !history_.damaged.empty() || !mayStandForParent(flags())) return false;
        std::vector<Entry> now;
        now.reserve(tree_.entries.size());
        std::unordered_set<std::string> databases;
        for (const Entry& entry : tree_.entries) {
            if (entry.type == EntryType::regular &&
                databases.contains(std::string(sqliteOwner(entry.path))))
                continue;
            const Entry* parent = entry.type == EntryType::regular ? unchanged(entry) : nullptr;
            if (parent && parent->kind == ContentKind::sqlite) databases.insert(entry.path);
            now.push_back(entry);
        }
        if (!sameNames(now, history_.tree)) return false;
        REGROW_TRY(const auto bad, store_.repository().list("bad"));
        return bad.empty();
    }

    Result<> readAll() {
        ContentReader reader(
            store_.chunker(),
            [&](uint64_t offset, std::string_view bytes) { return writer_->add(offset, bytes); },
            [&](uint64_t bytes) { tell("read", done_bytes_ += bytes, done_files_); });
        REGROW_TRY(TreeDir ahead_root, root_->again());
        ReadAhead ahead(std::move(ahead_root), std::move(to_read_));
        std::vector<Entry> kept;
        kept.reserve(tree_.entries.size());
        for (Entry& entry : tree_.entries) {
            if (entry.type == EntryType::regular) ahead.reached(entry.path);
            REGROW_TRY(const bool keep, complete(entry, reader));
            if (keep) kept.push_back(std::move(entry));
        }
        tree_.entries = std::move(kept);
        return {};
    }

    void countWork() {
        for (const Entry& entry : tree_.entries)
            if (entry.type == EntryType::regular && !unchanged(entry) &&
                !besideDatabase(entry.path)) {
                total_bytes_ += entry.size, ++total_files_;
                if (mayReadAhead(entry)) to_read_.push_back({entry.path, entry.size});
            }
    }

    // Closing any descriptor of a file gives up this process's locks on it, whoever took them: what
    // SQLite may have locked meanwhile is left alone, under whatever name.
    static bool mayReadAhead(const Entry& entry) {
        return !entry.link_group && sqliteOwner(entry.path).empty();
    }

    bool besideDatabase(const std::string& path) const {
        const Entry* owner = parentOf(std::string(sqliteOwner(path)));
        return owner && owner->kind == ContentKind::sqlite;
    }

    const Entry* parentOf(const std::string& path) const {
        const auto it = known_.find(path);
        return it == known_.end() ? nullptr : it->second;
    }

    std::optional<TimeStamp> logOf(const Entry& entry) const {
        const auto it = logs_.find(entry.path + "-wal");
        return it == logs_.end() ? std::nullopt : it->second;
    }

    const Entry* unchanged(const Entry& entry) const {
        if (options_.full) return nullptr;
        const Entry* parent = parentOf(entry.path);
        return parent && contentUnchanged(*parent, entry, logOf(entry)) ? parent : nullptr;
    }

    // Gives the entry its content; false when it is not to be in the snapshot.
    Result<bool> complete(Entry& entry, ContentReader& reader) {
        if (entry.type != EntryType::regular) {
            entry.inode = 0;  // of no use to the next incremental, and a reason to write where
                              // nothing changed
            entry.ctime = {};
            return true;
        }
        if (const auto owner = sqliteOwner(entry.path);
            !owner.empty() && databases_.contains(std::string(owner)))
            return false;
        if (const Entry* parent = unchanged(entry)) {
            REGROW_TRY(const bool stored, writer_->stillStored(parent->pieces));
            if (stored) {
                takeOver(entry, *parent);
                return true;
            }
        }
        if (takeFromLink(entry)) return true;
        ++done_files_;
        const auto read = readFile(entry, reader);
        if (read && entry.link_group) links_.emplace(entry.link_group, entry);
        if (read) return true;
        return notRead(entry, read.error());
    }

    void takeOver(Entry& entry, const Entry& parent) {
        entry.pieces = parent.pieces;
        entry.kind = parent.kind;
        entry.ctime = parent.ctime;
        entry.size = parent.size;
        if (entry.kind == ContentKind::sqlite) databases_.insert(entry.path);
        if (entry.link_group) links_.emplace(entry.link_group, entry);
    }

    bool takeFromLink(Entry& entry) {
        const auto it = entry.link_group ? links_.find(entry.link_group) : links_.end();
        if (it == links_.end()) return false;
        std::string path = std::move(entry.path);
        entry = it->second;
        entry.path = std::move(path);
        return true;
    }

    Result<bool> notRead(const Entry& entry, const Error& error) {
        // A repository that cannot take more, or a full disk, ends the capture; one bad file does
        // not.
        if (error.source == Source::repository || error.code == Code::no_space)
            return std::unexpected(error);
        if (error.code != Code::not_found) problems_.push_back({entry.path, error.message, true});
        return false;
    }

    Result<> readFile(Entry& entry, ContentReader& reader) {
        const SplitPath at = splitPath(entry.path);
        REGROW_TRY(const int directory, root_->at(at.directory));
        std::array<char, kSqliteMagic.size()> head{};
        UniqueFd fd = openForReading(directory, at.name);
        if (!fd) return failErrno(errno, "opening");
        const ssize_t n = ::pread(fd.get(), head.data(), head.size(), 0);
        if (n == static_cast<ssize_t>(head.size()) &&
            std::string_view(head.data(), head.size()) == kSqliteMagic) {
            databases_.insert(entry.path);  // its journal is of no use without it
            fd.reset();  // closing it later would drop the locks SQLite holds in this process
            const auto done = readDatabase(entry, directory, at.name, reader);
            if (!done && done.error().code != Code::corrupt) return std::unexpected(done.error());
            if (!done) tellDamage(entry.path, done.error().message);
            if (done && *done) return {};
            databases_.erase(entry.path);  // kept as plain bytes, with what lies beside it
            fd = openForReading(directory, at.name);
            if (!fd) return failErrno(errno, "opening");
            return readPlain(entry, directory, at.name, fd.get(), true, reader);
        }
        return readPlain(entry, directory, at.name, fd.get(), false, reader);
    }

    void tellDamage(const std::string& path, const std::string& finding) {
        if (std::ranges::find(problems_, path, &Problem::path) != problems_.end()) return;
        problems_.push_back(
            {path,
             fmt::format("{} ({}): kept byte by byte as it is, and not checked at a restore",
                         kDamagedDatabase, finding),
             true});
    }

    // Metadata is that of the moment of reading, not that of the walk.
    Result<> refresh(Entry& entry, const struct stat& st, int directory, const std::string& name) {
        if (!S_ISREG(st.st_mode)) return fail(Code::not_found, Source::disk, "no longer a file");
        Entry now = entryFromStat(entry.path, st, owners_);
        now.link_group = entry.link_group;
        if (now.ctime == entry.ctime) {
            now.xattrs = std::move(entry.xattrs);
        } else {
            REGROW_TRY(now.xattrs, readXattrs(directory, name));
        }
        entry = std::move(now);
        return {};
    }

    Result<> readPlain(Entry& entry, int directory, const std::string& name, int fd, bool pages,
                       ContentReader& reader) {
        for (int attempt = 1;; ++attempt) {
            struct stat before{};
            struct stat after{};
            if (::fstat(fd, &before) != 0) return failErrno(errno, "looking");
            letTickPass(before.st_ctim);
            REGROW_CHECK(refresh(entry, before, directory, name));
            const ContentKind kind = contentKind(parentOf(entry.path), entry, pages);
            REGROW_TRY(entry.pieces, reader.read(fd, kind, entry.size));
            entry.kind = kind;
            if (::fstat(fd, &after) != 0) return failErrno(errno, "looking");
            const bool same = before.st_size == after.st_size &&
                              entry.mtime == timeStamp(after.st_mtim) &&
                              entry.ctime == timeStamp(after.st_ctim);
            if (same) return {};
            if (attempt < kReads && entry.size <= kLargestReread) continue;
            entry.changed_while_read = true;
            problems_.push_back(
                {entry.path,
                 "changed each time it was read: its content may be of no single instant"});
            return {};
        }
    }

    // False: not a database after all.
    Result<bool> readDatabase(Entry& entry, int directory, const std::string& name,
                              ContentReader& reader) {
        struct stat st{};
        struct stat log{};
        if (::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
            return failErrno(errno, "looking");
        const bool logged =
            ::fstatat(directory, (name + "-wal").c_str(), &log, AT_SYMLINK_NOFOLLOW) == 0 &&
            log.st_size > 0;
        letTickPass(logged ? log.st_mtim : st.st_ctim);
        REGROW_CHECK(refresh(entry, st, directory, name));
        const SqliteCopyOptions how{.scratch = options_.scratch,
                                    .busy = options_.database_wait,
                                    .at_rest = options_.rescue};
        auto copy = copySqlite(directory, name, how);
        if (!copy) return std::unexpected(std::move(copy.error()).in("SQLite database"));
        if (!*copy) return false;
        struct stat size{};
        if (::fstat((*copy)->get(), &size) != 0) return failErrno(errno, "looking");
        entry.size = static_cast<uint64_t>(size.st_size);
        REGROW_TRY(entry.pieces, reader.read((*copy)->get(), ContentKind::sqlite, entry.size));
        entry.kind = ContentKind::sqlite;
        if (logged) entry.ctime = later(entry.ctime, timeStamp(log.st_mtim));
        return true;
    }

    SnapshotDraft draft() const {
        SnapshotDraft out;
        out.name = options_.name;
        out.parent = history_.parent;
        out.epoch =
            options_.epoch || !history_.parent ? options_.epoch : history_.parent->header.epoch;
        out.captured_at = captured_at_;
        out.type =
            options_.full || !history_.parent ? SnapshotType::full : SnapshotType::incremental;
        out.flags = flags();
        out.lineage = options_.lineage;
        out.capture = options_.rescue ? "directory, rescued" : "directory";
        char host[256] = {};
        if (::gethostname(host, sizeof host - 1) == 0) out.host = host;
        out.source = std::filesystem::absolute(options_.path).lexically_normal().string();
        for (const Problem& problem : problems_)
            out.problems.push_back(problem.path.empty()
                                       ? problem.message
                                       : printable(problem.path) + ": " + problem.message);
        out.skip_unchanged = history_.damaged.empty() && mayStandForParent(out.flags);
        return out;
    }

    // Whether a tree equal to the parent's needs no record of its own.
    bool mayStandForParent(uint32_t now) const {
        if (options_.full || !history_.parent) return false;
        const SnapshotHeader& parent = history_.parent->header;
        return (history_.parent->proven || !options_.prove) &&
               ((parent.flags ^ now) & ~uint32_t{kRescue}) == 0 &&
               (!options_.epoch || parent.epoch == options_.epoch) &&
               (options_.lineage.empty() || options_.lineage == parent.lineage);
    }

    uint32_t flags() const {
        uint32_t set = 0;
        if (options_.rescue) set |= kRescue;
        if (suspicious_) set |= kSuspicious;
        if (std::ranges::any_of(problems_, &Problem::breaks_promise)) set |= kIncomplete;
        return set;
    }

    Result<Captured> prove(Published published) {
        Captured out{.snapshot = std::move(published.snapshot),
                     .unchanged = published.unchanged,
                     .problems = problems_};
        if (!options_.prove || out.unchanged) return out;
        tell("prove", 0, done_files_);
        auto proof = writer_->prove();
        if (!proof)
            return std::unexpected(
                std::move(proof.error())
                    .in(fmt::format("snapshot {} was written but does not prove good",
                                    out.snapshot.shortId())));
        out.snapshot.proven = true;
        return out;
    }

    void tell(std::string_view phase, uint64_t bytes, uint64_t files) const {
        if (options_.progress)
            options_.progress({phase, bytes, std::max(bytes, total_bytes_), files,
                               std::max(files, total_files_)});
    }

    Store& store_;
    const CaptureOptions& options_;
    PathPatterns exclude_;
    History history_;
    std::optional<TreeDir> root_;
    WallTime captured_at_;
    WalkResult tree_;
    std::unordered_map<std::string_view, const Entry*> known_;  // the parent's, by path
    std::unordered_map<std::string, std::optional<TimeStamp>>
        logs_;                                   // "…-wal" files, their mtime unless empty
    std::unordered_set<std::string> databases_;  // SQLite files met so far
    std::unordered_map<std::string, std::string> damage_;  // printable path: what the parent says
    std::unordered_map<uint64_t, Entry> links_;            // first of each hard-linked inode
    std::vector<Problem> problems_;
    OwnerNames owners_;
    std::unique_ptr<Writer> writer_;
    bool suspicious_ = false;
    uint64_t done_bytes_ = 0;
    uint64_t total_bytes_ = 0;
    uint64_t done_files_ = 0;
    uint64_t total_files_ = 0;
    std::vector<ReadAhead::File> to_read_;
};

}  // namespace

Result<Captured> capture(Store& store, const CaptureOptions& options) {
    return Capture(store, options).run();
}

}  // namespace regrow::backup
