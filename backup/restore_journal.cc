#include "backup/restore_journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/child_process.h"
#include "base/file.h"
#include "base/json.h"

namespace regrow::backup {
namespace {

constexpr int64_t kFormat = 1;
constexpr size_t kLargestJournal = size_t{1} << 30;

struct Record {
    PackId pack{};
    FrameRange range;
};

std::optional<Record> recordOf(const rapidjson::Value& line) {
    const auto pack = json::getString(line, "pack");
    const auto from = json::getUint(line, "from");
    const auto to = json::getUint(line, "to");
    if (!pack || !from || !to || *to > UINT32_MAX || *from > *to) return std::nullopt;
    const auto id = digestFromHex(*pack);
    if (!id) return std::nullopt;
    return Record{*id, {static_cast<uint32_t>(*from), static_cast<uint32_t>(*to)}};
}

std::string recordLine(const PackId& pack, FrameRange range) {
    json::Writer w;
    w.beginObject()
        .field("pack", hexOf(pack))
        .field("from", range.from)
        .field("to", range.to)
        .endObject();
    return w.text();
}

std::string syncedLine(uint64_t records) {
    json::Writer w;
    w.beginObject().field("synced", records).endObject();
    return w.text();
}

Result<RestoreJournal::State> header(const rapidjson::Value& line) {
    const auto format = json::getInt(line, "format");
    const auto snapshot = json::getString(line, "snapshot");
    const auto boot = json::getString(line, "boot");
    const auto device = json::getUint(line, "device");
    const auto inode = json::getUint(line, "inode");
    if (format != kFormat || !snapshot || !boot || !device || !inode)
        return fail(Code::corrupt, Source::disk, "not a restore journal");
    RestoreJournal::State state;
    REGROW_TRY(state.work.snapshot, digestFromHex(*snapshot));
    state.work.selection = json::getString(line, "selection").value_or("");
    state.same_boot = *boot == bootId();
    state.device = *device;
    state.inode = *inode;
    return state;
}

// What a journal's lines say, in their order.
struct Told {
    std::vector<Record> records;
    size_t on_disk = 0;  // the first so many
};

void applyLine(const rapidjson::Value& line, RestoreJournal::State& state, Told& told) {
    if (const auto record = recordOf(line)) return told.records.push_back(*record);
    if (const auto synced = json::getUint(line, "synced"))
        told.on_disk = std::max(told.on_disk, std::min<size_t>(*synced, told.records.size()));
    if (json::getBool(line, "complete").value_or(false)) {
        told.on_disk = told.records.size();
        state.complete = true;
    }
}

// Always under the same temporary name: whoever is killed in between leaves nothing that the next
// restore of this target does not take away.
Result<> replace(const std::string& path, std::string_view content) {
    const std::string fresh = path + ".new";
    REGROW_TRY(const UniqueFd fd, openFile(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW));
    REGROW_CHECK(writeAll(fd.get(), content, fresh));
    if (::fdatasync(fd.get()) != 0) return failErrno(errno, "fdatasync " + fresh);
    if (::rename(fresh.c_str(), path.c_str()) != 0) return failErrno(errno, "renaming to " + path);
    const std::string parent = std::filesystem::path(path).parent_path().string();
    return syncDirectory(parent.empty() ? "." : parent);
}

}  // namespace

bool RestoreJournal::State::covers(const PackId& pack, uint32_t frame) const {
    const auto it = done.find(pack);
    if (it == done.end()) return false;
    return std::ranges::any_of(
        it->second, [&](const FrameRange& r) { return r.from <= frame && frame <= r.to; });
}

std::string RestoreJournal::pathFor(const std::string& target) {
    std::string path = target;
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path + ".regrow-restore";
}

Result<std::optional<RestoreJournal::State>> RestoreJournal::load(const std::string& target) {
    const std::string path = pathFor(target);
    auto text = readFile(path, kLargestJournal);
    if (!text && text.error().code == Code::not_found) return std::optional<State>();
    if (!text) return std::unexpected(std::move(text.error()));
    std::optional<State> state;
    Told told;
    std::string_view rest = *text;
    for (size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
        const auto line = json::parse(rest.substr(0, end));
        rest.remove_prefix(end + 1);
        if (!line) break;
        if (state) {
            applyLine(*line, *state, told);
            continue;
        }
        auto head = header(*line);
        if (!head) return std::unexpected(std::move(head.error()).in(path));
        state = std::move(*head);
    }
    if (!state) return state;
    if (!state->same_boot) told.records.resize(told.on_disk);
    for (const Record& r : told.records) state->done[r.pack].push_back(r.range);
    return state;
}

Result<RestoreJournal> RestoreJournal::start(const std::string& target, int target_fd,
                                             const Work& work, const State* before) {
    const std::string path = pathFor(target);
    struct stat st{};
    if (::fstat(target_fd, &st) != 0) return failErrno(errno, target);
    json::Writer w;
    w.beginObject()
        .field("format", kFormat)
        .field("snapshot", hexOf(work.snapshot))
        .field("boot", bootId());
    if (!work.selection.empty()) w.field("selection", work.selection);
    w.field("device", uint64_t{st.st_dev}).field("inode", uint64_t{st.st_ino}).endObject();
    std::string text = w.text() + "\n";
    // Written anew rather than gone on with: a "synced" of this boot must not vouch for an unsynced
    // line of another.
    uint64_t records = 0;
    if (before) {
        for (const auto& [pack, ranges] : before->done)
            for (const FrameRange& range : ranges)
                text += recordLine(pack, range) + "\n", ++records;
        if (!before->same_boot) text += syncedLine(records) + "\n";
    }
    REGROW_CHECK(replace(path, text));
    REGROW_TRY(UniqueFd file, openFile(path, O_WRONLY | O_APPEND | O_NOFOLLOW));
    return RestoreJournal(path, std::move(file), records);
}

Result<> RestoreJournal::append(const std::string& line) {
    return writeAll(file_.get(), line + "\n", path_);
}

Result<> RestoreJournal::done(const PackId& pack, FrameRange frames) {
    const std::scoped_lock lock(*mutex_);
    REGROW_CHECK(append(recordLine(pack, frames)));
    ++records_;
    return {};
}

uint64_t RestoreJournal::records() const {
    const std::scoped_lock lock(*mutex_);
    return records_;
}

Result<> RestoreJournal::synced(uint64_t records) {
    const std::scoped_lock lock(*mutex_);
    REGROW_CHECK(append(syncedLine(records)));
    if (::fdatasync(file_.get()) != 0) return failErrno(errno, "fdatasync " + path_);
    return {};
}

Result<> RestoreJournal::complete() {
    const std::scoped_lock lock(*mutex_);
    REGROW_CHECK(append(R"({"complete":true})"));
    if (::fdatasync(file_.get()) != 0) return failErrno(errno, "fdatasync " + path_);
    return {};
}

Result<> RestoreJournal::remove() {
    if (::unlink(path_.c_str()) != 0 && errno != ENOENT)
        return failErrno(errno, "removing " + path_);
    return {};
}

}  // namespace regrow::backup
