#include "proxy/recovery/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <thread>
#include <utility>

#include "base/file.h"
#include "proxy/recovery/journal_patch.h"
#include "proxy/recovery/journal_scan.h"
#include "proxy/recovery/machine.h"

namespace regrow::recovery {
namespace {

constexpr size_t kLargestFile = size_t{1} << 30;
constexpr Duration kDyingHolder = std::chrono::seconds(2);

std::string pathOf(const std::string& state_dir) {
    return state_dir + "/journal";
}

bool gone(const std::string& pid_text) {
    pid_t pid = 0;
    const auto [end, error] =
        std::from_chars(pid_text.data(), pid_text.data() + pid_text.size(), pid);
    return error == std::errc() && pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH;
}

// The kernel lets go of the lock when its holder dies, however it dies. A child that was just being
// started then shares it until its exec; a holder that is gone is given that moment. Otherwise the
// pid inside is for the message only.
Result<UniqueFd> takeLock(const std::string& state_dir) {
    const std::string path = state_dir + "/lock";
    REGROW_TRY(UniqueFd fd, openFile(path, O_RDWR | O_CREAT));
    const Instant until = Mono::now() + kDyingHolder;
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return failErrno(errno, "locking " + path);
        const auto holder = readFile(path).value_or("");
        if (gone(holder) && Mono::now() < until) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            continue;
        }
        return fail(Code::refused, Source::us,
                    fmt::format("{} is in use by another proxy{}: stop that one, or give this one "
                                "a state_dir of its own",
                                state_dir, holder.empty() ? "" : " (pid " + holder + ")"));
    }
    const std::string pid = std::to_string(::getpid());
    if (::ftruncate(fd.get(), 0) != 0) return failErrno(errno, path);
    REGROW_CHECK(writeAll(fd.get(), pid, path));
    return fd;
}

// What a compaction that was cut short left behind.
void removeLeftovers(const std::string& state_dir) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(state_dir, error))
        if (entry.path().filename().string().starts_with("journal.tmp."))
            std::filesystem::remove(entry.path(), error);
}

Result<> writeAt(int fd, std::string_view bytes, uint64_t offset, const std::string& what) {
    while (!bytes.empty()) {
        const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failErrno(errno, "writing " + what);
        bytes.remove_prefix(static_cast<size_t>(n));
        offset += static_cast<uint64_t>(n);
    }
    return {};
}

template <class T>
Patch one(std::vector<Change<T>> Patch::* list, const std::string& pool, const std::string& name,
          std::optional<T> value) {
    Patch patch;
    (patch.*list).push_back({pool, name, std::move(value)});
    return patch;
}

}  // namespace

Journal::Journal(std::string state_dir, const Clock& clock, JournalOptions options)
    : state_dir_(std::move(state_dir)),
      clock_(clock),
      options_(options),
      compact_at_(options.compact_bytes) {}

Journal::~Journal() = default;

Result<std::unique_ptr<Journal>> Journal::open(std::string state_dir, const Clock& clock,
                                               JournalOptions options) {
    REGROW_CHECK(makeDirectories(state_dir));
    std::unique_ptr<Journal> journal(new Journal(std::move(state_dir), clock, options));
    REGROW_TRY(journal->lock_, takeLock(journal->state_dir_));
    removeLeftovers(journal->state_dir_);
    REGROW_CHECK(journal->load());
    return journal;
}

Result<> Journal::load() {
    const std::string path = pathOf(state_dir_);
    if (!exists(path)) {
        REGROW_CHECK(writeFileAtomic(path, kJournalMagic));
    }
    REGROW_TRY(const std::string content, readFile(path, kLargestFile));
    REGROW_TRY(const Scan scan, scanJournal(content, path));
    for (const auto& payload : scan.payloads) {
        auto patch = patchFromJson(payload, clock_);
        if (!patch) return std::unexpected(std::move(patch).error().in(path));
        apply(*patch, saved_);
    }
    REGROW_TRY(file_, openFile(path, O_RDWR));
    end_ = scan.end;
    reserved_ = content.size();
    if (scan.torn_bytes > 0) {
        REGROW_CHECK(cutTail(scan.end));
        warnings_.push_back(fmt::format(
            "{}: the last {} bytes were written only in part when the proxy stopped, and are cut "
            "off; they were never acted upon",
            path, scan.torn_bytes));
    }
    return reserve(0);
}

// Truncating and reserving anew turns what is cut into zeros: no old bytes can ever be taken for a
// record.
Result<> Journal::cutTail(uint64_t offset) {
    if (::ftruncate(file_.get(), static_cast<off_t>(offset)) != 0)
        return failErrno(errno, "cutting " + pathOf(state_dir_));
    if (::fsync(file_.get()) != 0) return failErrno(errno, "fsync " + pathOf(state_dir_));
    reserved_ = offset;
    return {};
}

// Keeps reserve_bytes of room beyond the last record. When the disk is full, what was reserved
// before is there to be used.
Result<> Journal::reserve(uint64_t needed) {
    if (reserved_ >= end_ + needed + options_.reserve_bytes / 2) return {};
    const uint64_t size = end_ + needed + options_.reserve_bytes;
    if (::fallocate(file_.get(), 0, 0, static_cast<off_t>(size)) == 0) {
        reserved_ = size;
        return {};
    }
    if (errno == EOPNOTSUPP)
        return {};  // a file system without reservations: each append takes its chance
    if (reserved_ >= end_ + needed) return {};
    return failErrno(errno, "reserving room for " + pathOf(state_dir_));
}

Result<> Journal::append(const Patch& patch) {
    const std::string path = pathOf(state_dir_);
    if (broken_)
        return fail(Code::io, Source::disk,
                    path +
                        ": an earlier write could not be made durable; restart the proxy once the "
                        "disk is well");
    const std::string record = journalRecord(toJson(patch, clock_));
    REGROW_CHECK(reserve(record.size()));
    REGROW_CHECK(writeAt(file_.get(), record, end_, path));
    if (::fdatasync(file_.get()) != 0) {
        broken_ = true;
        return failErrno(errno, "fdatasync " + path);
    }
    end_ += record.size();
    reserved_ = std::max(reserved_, end_);
    apply(patch, saved_);
    if (end_ < compact_at_) return {};
    // The record is safe either way; without room for a second file the old one goes on growing for
    // a while.
    if (const auto compacted = compact(); !compacted) {
        compact_at_ = end_ * 2;
        warnings_.push_back(compacted.error().message);
    }
    return {};
}

Result<> Journal::compact() {
    const std::string path = pathOf(state_dir_);
    const std::string record = journalRecord(toJson(wholeOf(saved_), clock_));
    REGROW_CHECK(writeFileAtomic(path, std::string(kJournalMagic) + record));
    // From here on the old file is gone: without the new one nothing may be appended.
    broken_ = true;
    REGROW_TRY(file_, openFile(path, O_RDWR));
    broken_ = false;
    end_ = reserved_ = kJournalMagic.size() + record.size();
    compact_at_ = std::max(options_.compact_bytes, end_ * 2);
    return reserve(0);
}

Result<> Journal::assign(const BackendKey& backend, const Assignment& assignment) {
    return append(
        one(&Patch::assignments, backend.pool, backend.backend, std::optional(assignment)));
}
Result<> Journal::flag(const BackendKey& backend, const BackendFlags& flags) {
    return append(one(&Patch::flags, backend.pool, backend.backend, std::optional(flags)));
}
Result<> Journal::server(const ServerKey& server, const ServerRecord& record) {
    return append(one(&Patch::servers, server.pool, server.server, std::optional(record)));
}
Result<> Journal::process(const ServerKey& server, const ProcessRecord& record) {
    return append(one(&Patch::processes, server.pool, server.server, std::optional(record)));
}
Result<> Journal::processGone(const ServerKey& server) {
    return append(one<ProcessRecord>(&Patch::processes, server.pool, server.server, std::nullopt));
}
Result<> Journal::budget(const std::string& pool, const Budget& budget) {
    return append(one(&Patch::budgets, pool, {}, std::optional(budget)));
}
Result<> Journal::flap(const BackendKey& backend, const FlapHistory& history) {
    return append(one(&Patch::flaps, backend.pool, backend.backend, std::optional(history)));
}
Result<> Journal::repository(const std::string& name, const std::string& id) {
    return append(one(&Patch::repositories, {}, name, std::optional(id)));
}
Result<> Journal::pause(bool paused) {
    Patch patch;
    patch.paused = paused;
    return append(patch);
}
Result<> Journal::eventSeq(uint64_t seq) {
    Patch patch;
    patch.event_seq = seq;
    return append(patch);
}

Result<> Journal::transition(const Transition& change) {
    const auto& [pool, backend] = change.backend;
    Patch patch = one(&Patch::recoveries, pool, backend, std::optional(change.state));
    for (const auto& [server, record] : change.servers)
        patch.servers.push_back({pool, server, record});
    if (change.assignment) patch.assignments.push_back({pool, backend, change.assignment});
    if (change.budget) patch.budgets.push_back({pool, {}, change.budget});
    if (change.flap) patch.flaps.push_back({pool, backend, change.flap});
    return append(patch);
}

Result<> Journal::endRecovery(const BackendKey& backend, const PastRecovery& past,
                              const std::vector<std::pair<std::string, ServerRecord>>& servers,
                              const std::optional<FlapHistory>& flap) {
    Patch patch =
        one<RecoveryState>(&Patch::recoveries, backend.pool, backend.backend, std::nullopt);
    patch.past.push_back({backend.pool, past.id, past});
    for (const auto& [server, record] : servers)
        patch.servers.push_back({backend.pool, server, record});
    if (flap) patch.flaps.push_back({backend.pool, backend.backend, flap});
    return append(patch);
}

Result<> Journal::forgetBackend(const BackendKey& backend) {
    Patch patch = one<Assignment>(&Patch::assignments, backend.pool, backend.backend, std::nullopt);
    patch.flags.push_back({backend.pool, backend.backend, std::nullopt});
    patch.recoveries.push_back({backend.pool, backend.backend, std::nullopt});
    patch.flaps.push_back({backend.pool, backend.backend, std::nullopt});
    return append(patch);
}
Result<> Journal::forgetServer(const ServerKey& server) {
    Patch patch = one<ServerRecord>(&Patch::servers, server.pool, server.server, std::nullopt);
    patch.processes.push_back({server.pool, server.server, std::nullopt});
    return append(patch);
}

PastRecovery pastRecovery(const RecoveryState& s, Instant now) {
    // Rounded to what the journal's JSON keeps.
    const auto ms = [](Duration d) {
        return static_cast<double>(
                   std::chrono::duration_cast<std::chrono::microseconds>(d).count()) /
               1000;
    };
    return {.id = s.id,
            .backend = s.backend,
            .from = s.from,
            .to = s.reinstating ? s.old_server : s.spare,
            .result = resultName(s),
            .reason = s.reason,
            .snapshot = s.snapshot ? s.snapshot->id : "",
            .started = s.died_wall,
            .lost_s = s.lost_s,
            .down_s = ms(std::chrono::duration_cast<Duration>(
                          std::chrono::duration<double>(downSeconds(s, now)))) /
                      1000,
            .detected_ms = s.detected_at ? ms(*s.detected_at - s.down_since) : 0,
            .restored_bytes = s.done_bytes,
            .restore_ms = s.restore_took ? ms(*s.restore_took) : 0,
            .steps = s.steps};
}

}  // namespace regrow::recovery
