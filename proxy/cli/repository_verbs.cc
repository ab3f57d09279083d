#include "proxy/cli/repository_verbs.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <tuple>

#include "backup/overlap.h"
#include "backup/store.h"
#include "backup/tar_stream.h"
#include "backup/tree_dir.h"
#include "backup/verify.h"
#include "base/text.h"
#include "proxy/cli/output.h"
#include "proxy/cli/verb_output.h"

namespace regrow::cli {
namespace {

using backup::Snapshot;
using backup::Store;

constexpr Duration kPinFor = std::chrono::hours(24);

// Without a wish: the newest that is not held back for a person.
Result<Snapshot> choose(Store& store, const RestoreArguments& a, VerbOutput& out) {
    if (a.at != "latest") return store.snapshots().find(a.name, a.at);
    REGROW_TRY(const backup::SnapshotList list, store.snapshots().list(a.name));
    for (const backup::DamagedSnapshot& damaged : list.damaged)
        out.warn(fmt::format("regrow: warning: {} cannot be read: {}", damaged.object,
                             damaged.error.message));
    for (const Snapshot& snapshot : list.snapshots | std::views::reverse) {
        if (!(snapshot.header.flags & backup::kSuspicious)) return snapshot;
        out.warn(
            fmt::format("regrow: warning: snapshot {} of {} is held back (most files were gone); "
                        "name it with --at if you mean it",
                        snapshot.shortId(), formatTime(snapshot.header.captured_at)));
    }
    return fail(Code::not_found, Source::repository,
                fmt::format("no snapshot of {} in {}", a.name, a.repo));
}

Result<uint64_t> bytesHeld(backup::Repository& repository) {
    uint64_t bytes = 0;
    for (const char* folder : {"packs", "index", "snapshots", "proofs", "keys", "keyring", "bad"}) {
        REGROW_TRY(const auto objects, repository.list(folder));
        for (const backup::ObjectInfo& object : objects) bytes += object.size;
    }
    return bytes;
}

void tellCapture(VerbOutput& out, const backup::Captured& captured) {
    const backup::SnapshotHeader& h = captured.snapshot.header;
    for (const backup::Problem& problem : captured.problems)
        out.warn(fmt::format("regrow: {}{}: {}", problem.breaks_promise ? "warning: " : "note: ",
                             problem.path.empty() ? h.source : backup::printable(problem.path),
                             problem.message));
    if (captured.unchanged)
        return out.say(fmt::format("Nothing changed since snapshot {} of {}; nothing was written.",
                                   captured.snapshot.shortId(), formatTime(h.captured_at)));
    const std::string notes = flagsText(captured.snapshot);
    out.say(fmt::format(
        "Snapshot {} ({} no. {}, {}): {}, {}; {} new{}. Took {}.", captured.snapshot.shortId(),
        h.name, h.number, h.type == backup::SnapshotType::full ? "full" : "incremental",
        plural(h.files, "file"), humanSize(h.bytes), humanSize(h.new_bytes),
        notes.empty() ? ", proven good" : "; " + notes,
        humanDuration(std::chrono::milliseconds(static_cast<int64_t>(out.tookMs())))));
}

// What a damaged object takes with it: a file of a snapshot, or all its paths from `path` up to and
// without `until`, which is empty when nothing after `path` can be read.
struct Loss {
    std::string snapshot;
    std::string path;
    std::optional<std::string> until;
};
using Losses = std::map<std::string, std::vector<Loss>>;  // by the object's name

std::string textOf(const Loss& loss) {
    const auto quoted = [](const std::string& p) { return "\"" + backup::printable(p) + "\""; };
    if (!loss.until) return quoted(loss.path);
    if (loss.path.empty() && loss.until->empty()) return "everything";
    if (loss.until->empty()) return "everything from " + quoted(loss.path) + " on";
    if (loss.path.empty()) return "everything before " + quoted(*loss.until);
    return "everything from " + quoted(loss.path) + " to before " + quoted(*loss.until);
}

void attribute(Store& store, const backup::SnapshotDamage& damage,
               const std::set<backup::PackId>& bad, Losses& losses) {
    const std::string snapshot = backup::hexOf(damage.snapshot.id);
    std::set<std::string> lost;
    for (const backup::DamagedFile& file : damage.files) lost.insert(file.path);
    std::set<std::string> placed;
    const auto place = [&](const backup::Entry& entry) -> Result<> {
        if (!lost.contains(entry.path)) return {};
        std::set<backup::PackId> packs;
        for (const backup::Piece& piece : entry.pieces)
            if (const auto pack = store.packs().pack(piece.pack); pack && bad.contains(pack->id))
                packs.insert(pack->id);
        for (const backup::PackId& pack : packs)
            losses["packs/" + backup::hexOf(pack)].push_back({snapshot, entry.path, {}});
        if (!packs.empty()) placed.insert(entry.path);
        return {};
    };
    const auto told = store.forEachEntry(damage.snapshot,
                                         [&](const backup::Entry& entry) { return place(entry); });
    (void)told;  // a tree that cannot be read is told below, as the snapshot's own loss
    const std::string own = "snapshot " + damage.snapshot.shortId();
    for (const std::string& path : lost)
        if (!placed.contains(path)) losses[own].push_back({snapshot, path, {}});
    if (!damage.error.empty()) losses[own];
    for (const backup::LostRange& range : damage.ranges) {
        const bool one = range.first == range.end && !range.first.empty();
        losses[own].push_back(
            {snapshot, range.first, one ? std::nullopt : std::optional(range.end)});
    }
}

Losses lossesOf(Store& store, const backup::VerifyReport& report) {
    Losses losses;
    std::set<backup::PackId> bad;
    for (const backup::DamagedPack& pack : report.damaged_packs) {
        bad.insert(pack.id);
        losses["packs/" + backup::hexOf(pack.id)];
    }
    for (const backup::DamagedSnapshot& snapshot : report.damaged_snapshots)
        losses[snapshot.object];
    for (const backup::SnapshotDamage& damage : report.losses)
        attribute(store, damage, bad, losses);
    return losses;
}

void tellVerify(VerbOutput& out, const backup::VerifyReport& report, const Losses& losses) {
    for (const backup::DamagedPack& pack : report.damaged_packs)
        for (const std::string& finding : pack.findings)
            out.say(fmt::format("damaged: packs/{}: {}", backup::hexOf(pack.id), finding));
    for (const backup::DamagedSnapshot& snapshot : report.damaged_snapshots)
        out.say(fmt::format("damaged: {}: {}", snapshot.object, snapshot.error.message));
    for (const backup::SnapshotDamage& damage : report.losses)
        if (!damage.error.empty())
            out.say(fmt::format("damaged: the tree of snapshot {}: {}", damage.snapshot.shortId(),
                                damage.error));
    for (const auto& [object, lost] : losses)
        for (const Loss& loss : lost)
            out.say(fmt::format("lost with {}: {} of snapshot {}", object, textOf(loss),
                                loss.snapshot.substr(0, 12)));
    const std::string what = fmt::format("{} in {}, {}", plural(report.snapshots, "snapshot"),
                                         plural(report.packs, "pack"), humanSize(report.bytes));
    out.say(report.ok()
                ? fmt::format("All good: {}.", what)
                : fmt::format(
                      "Damaged: {} of {}. The next backup of live data stores again what it can.",
                      plural(losses.size(), "object"), what));
}

Result<int> runVerify(const RepositoryArguments& a, VerbOutput& out) {
    REGROW_TRY(const auto store, Store::open(a.repo, a.key_file));
    backup::VerifyOptions how;
    how.progress = [&](uint64_t done, uint64_t total) {
        out.progress({"verify", done, total, 0, 0});
    };
    REGROW_TRY(const backup::VerifyReport report, backup::verify(*store, how));
    const Losses losses = lossesOf(*store, report);
    tellVerify(out, report, losses);
    json::Writer w;
    VerbOutput::beginResult(w, report.ok())
        .field("snapshots", report.snapshots)
        .field("packs", report.packs)
        .field("bytes", report.bytes);
    w.key("damaged").beginArray();
    for (const auto& [object, files] : losses) {
        w.beginObject().field("object", object).key("files").beginArray();
        for (const Loss& loss : files) {
            w.beginObject().field("snapshot", loss.snapshot).field("path", loss.path);
            if (loss.until) w.field("until", *loss.until);
            w.endObject();
        }
        w.endArray().endObject();
    }
    w.endArray().field("took_ms", out.tookMs());
    out.result(w);
    return report.ok() ? kDone : kFailed;
}

Result<> runBackup(BackupArguments& a, VerbOutput& out) {
    a.capture.progress = out.onProgress();
    REGROW_CHECK(backup::mayCapture(a.capture.path, {a.repo, a.key_file}, a.capture.exclude));
    REGROW_TRY(const auto store, Store::open(a.repo, a.key_file));
    REGROW_TRY(const backup::Captured captured, backup::capture(*store, a.capture));
    tellCapture(out, captured);
    json::Writer w;
    VerbOutput::beginResult(w).field("unchanged", captured.unchanged).key("snapshot");
    writeSnapshot(w, captured.snapshot);
    w.field("took_ms", out.tookMs());
    out.result(w);
    return {};
}

Result<> runSnapshots(const SnapshotsArguments& a, VerbOutput& out) {
    REGROW_TRY(const auto store, Store::open(a.repo, a.key_file));
    REGROW_TRY(backup::SnapshotList list,
               a.name.empty() ? store->snapshots().listAll() : store->snapshots().list(a.name));
    std::ranges::sort(list.snapshots, {}, [](const Snapshot& s) {
        return std::tuple(s.header.captured_at, std::string_view(s.header.name), s.header.number);
    });
    REGROW_TRY(const uint64_t bytes, bytesHeld(store->repository()));
    REGROW_TRY(const auto space, store->repository().space());
    for (const backup::DamagedSnapshot& damaged : list.damaged)
        out.warn(fmt::format("regrow: warning: {} cannot be read: {}", damaged.object,
                             damaged.error.message));
    out.say(list.snapshots.empty() ? fmt::format("No snapshots{} in {}.",
                                                 a.name.empty() ? "" : " of " + a.name, a.repo)
                                   : snapshotTable(list.snapshots));
    json::Writer w;
    VerbOutput::beginResult(w).key("snapshots").beginArray();
    for (const Snapshot& snapshot : list.snapshots) writeSnapshot(w, snapshot);
    w.endArray().key("damaged").beginArray();
    for (const backup::DamagedSnapshot& damaged : list.damaged)
        w.beginObject()
            .field("object", damaged.object)
            .field("message", damaged.error.message)
            .endObject();
    w.endArray().key("repository").beginObject().field("bytes", bytes).key("free_bytes");
    if (space)
        w.value(space->free_bytes);
    else
        w.null();
    w.endObject();
    out.result(w);
    return {};
}

void warnIncomplete(const Snapshot& snapshot, VerbOutput& out) {
    if (!(snapshot.header.flags & backup::kIncomplete)) return;
    for (const std::string& problem : snapshot.header.problems)
        out.warn(fmt::format("regrow: warning: snapshot {} is incomplete: {}", snapshot.shortId(),
                             problem));
}

Result<> runRestore(RestoreArguments& a, VerbOutput& out) {
    a.restore.progress = out.onProgress();
    REGROW_CHECK(backup::mayRestoreInto(a.restore.target, {a.repo, a.key_file}));
    REGROW_TRY(const auto store, Store::open(a.repo, a.key_file));
    REGROW_TRY(const Snapshot snapshot, choose(*store, a, out));
    warnIncomplete(snapshot, out);
    if (a.pin) {
        const std::string owner = a.recovery.empty() ? "restore" : "recovery " + a.recovery;
        REGROW_CHECK(store->snapshots().pin(
            snapshot, owner, Wall::now() + std::chrono::duration_cast<Wall::duration>(kPinFor)));
    }
    REGROW_TRY(const backup::Restored restored, backup::restore(*store, snapshot, a.restore));
    for (const backup::Problem& problem : restored.problems)
        out.warn(fmt::format("regrow: warning: {}: {}", backup::printable(problem.path),
                             problem.message));
    out.say(
        fmt::format("Restored snapshot {} of {} to {}: {}, {}{}. Took {}.", snapshot.shortId(),
                    formatTime(snapshot.header.captured_at), a.restore.target,
                    plural(restored.files, "file"), humanSize(restored.bytes),
                    a.restore.onto || restored.resumed
                        ? fmt::format("; {} of it had to be written", humanSize(restored.written))
                        : "",
                    humanDuration(std::chrono::milliseconds(static_cast<int64_t>(out.tookMs())))));
    json::Writer w;
    VerbOutput::beginResult(w).key("snapshot");
    writeSnapshot(w, snapshot);
    w.field("restored_bytes", restored.bytes)
        .field("files", restored.files)
        .field("fetched_bytes", restored.fetched);
    w.field("written_bytes", restored.written)
        .field("removed", restored.removed)
        .field("resumed", restored.resumed);
    w.key("problems").beginArray();
    for (const backup::Problem& problem : restored.problems)
        w.value(backup::printable(problem.path) + ": " + problem.message);
    w.endArray().field("took_ms", out.tookMs());
    out.result(w);
    return {};
}

Result<> runStream(RestoreArguments& a, VerbOutput& out) {
    if (::isatty(STDOUT_FILENO))
        return fail(Code::refused, Source::client,
                    "a tar stream is not written to a terminal: send it to a file or a program, as "
                    "in `regrow restore … --to - | tar -x -C DIR`");
    REGROW_TRY(const auto store, Store::open(a.repo, a.key_file));
    REGROW_TRY(const Snapshot snapshot, choose(*store, a, out));
    warnIncomplete(snapshot, out);
    REGROW_TRY(
        const backup::Streamed streamed,
        backup::writeTar(*store, snapshot, a.restore.selection, STDOUT_FILENO, out.onProgress()));
    for (const backup::Problem& problem : streamed.problems)
        out.warn(
            fmt::format("regrow: note: {}: {}", backup::printable(problem.path), problem.message));
    out.say(fmt::format("Wrote snapshot {} of {} as a tar stream: {}, {}.", snapshot.shortId(),
                        formatTime(snapshot.header.captured_at), plural(streamed.files, "file"),
                        humanSize(streamed.bytes)));
    json::Writer w;
    VerbOutput::beginResult(w).key("snapshot");
    writeSnapshot(w, snapshot);
    w.field("files", streamed.files).field("bytes", streamed.bytes).field("took_ms", out.tookMs());
    out.result(w);
    return {};
}

int ended(VerbOutput& out, const Result<>& result) {
    return result ? kDone : out.failure(result.error());
}

}  // namespace

int keyNew(const std::string& path, bool json) {
    VerbOutput out(json);
    if (const auto written = backup::writeKeyFile(path); !written)
        return out.failure(written.error());
    out.say(
        fmt::format("Wrote a new key to {}. Keep a copy of it away from this machine: without it "
                    "no snapshot can be read.",
                    path));
    json::Writer w;
    VerbOutput::beginResult(w).field("key_file", path);
    out.result(w);
    return kDone;
}

int repoInit(const RepositoryArguments& a) {
    VerbOutput out(a.json);
    if (const auto made = Store::initialise(a.repo, a.key_file); !made)
        return out.failure(made.error());
    out.say(fmt::format("Made an empty repository in {}.", a.repo));
    json::Writer w;
    VerbOutput::beginResult(w).field("repository", a.repo);
    out.result(w);
    return kDone;
}

int backupDirectory(BackupArguments& a) {
    VerbOutput out(a.json);
    return ended(out, runBackup(a, out));
}

int listSnapshots(const SnapshotsArguments& a) {
    VerbOutput out(a.json);
    return ended(out, runSnapshots(a, out));
}

int restoreSnapshot(RestoreArguments& a) {
    VerbOutput out(a.json);
    return ended(out, runRestore(a, out));
}

int streamSnapshot(RestoreArguments& a) {
    VerbOutput out(a.json, stderr);
    return ended(out, runStream(a, out));
}

int verifyRepository(const RepositoryArguments& a) {
    VerbOutput out(a.json);
    const auto code = runVerify(a, out);
    return code ? *code : out.failure(code.error());
}

}  // namespace regrow::cli
