#include "backup/capture_rules.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "backup/store.h"
#include "backup/tree_dir.h"

namespace regrow::backup {
namespace {

constexpr uint64_t kSmallestPageFile = 256 << 10;
constexpr size_t kFewVanished = 10;

std::string where(std::string_view directory) {
    return directory.empty() ? "the directory" : "\"" + printable(directory) + "\"";
}

std::string refusal(std::string_view directory, std::string_view what, std::string_view sign,
                    std::string_view key) {
    return fmt::format(
        "{} holds {} ({} is there): its files cannot be captured as a plain directory. Name it in "
        "the "
        "configuration with `capture: {{{}}}`, which this version does not offer yet; or leave it "
        "out with --exclude",
        where(directory), what, sign, key);
}

}  // namespace

std::optional<std::string> refusedDirectory(std::span<const Entry> entries) {
    std::unordered_set<std::string_view> controls;  // directories with a PG_VERSION
    for (const Entry& entry : entries) {
        const SplitPath at = splitPath(entry.path);
        if (at.name == "dump.rdb" || at.name == "appendonlydir")
            return refusal(at.directory, "Redis data", at.name, "redis: {…}");
        if (at.name == "PG_VERSION") controls.insert(at.directory);
    }
    for (const Entry& entry : entries) {
        const SplitPath file = splitPath(entry.path);
        const SplitPath folder = splitPath(file.directory);
        if (file.name == "pg_control" && folder.name == "global" &&
            controls.contains(folder.directory))
            return refusal(folder.directory, "a PostgreSQL database", "global/pg_control",
                           "postgres: {dsn: …}");
    }
    return std::nullopt;
}

size_t vanished(std::span<const Entry> before, std::span<const Entry> now) {
    size_t gone = 0;
    auto other = now.begin();
    for (const Entry& entry : before) {
        while (other != now.end() && pathLess(other->path, entry.path)) ++other;
        if (!entry.path.empty() && (other == now.end() || other->path != entry.path)) ++gone;
    }
    return gone;
}

bool suspicious(size_t vanished, size_t before) {
    return vanished >= kFewVanished && vanished * 2 > before;
}

bool contentUnchanged(const Entry& parent, const Entry& now, std::optional<TimeStamp> log_time) {
    if (parent.type != EntryType::regular || now.type != EntryType::regular) return false;
    if (parent.inode != now.inode || parent.mtime != now.mtime || parent.changed_while_read)
        return false;
    if (parent.kind != ContentKind::sqlite)
        return parent.size == now.size && parent.ctime == now.ctime;
    // A database's copy may be larger than its file while the log holds the rest.
    return parent.ctime == (log_time ? later(now.ctime, *log_time) : now.ctime);
}

bool sameNames(std::span<const Entry> a, std::span<const Entry> b) {
    return std::ranges::equal(a, b, [](const Entry& x, const Entry& y) {
        return x.path == y.path && x.type == y.type && x.mode == y.mode && x.uid == y.uid &&
               x.gid == y.gid && x.user == y.user && x.group == y.group && x.mtime == y.mtime &&
               x.device == y.device && x.target == y.target && x.xattrs == y.xattrs &&
               x.link_group == y.link_group;
    });
}

ContentKind contentKind(const Entry* parent, const Entry& now, bool sqlite) {
    if (sqlite) return ContentKind::pages;
    if (!parent || parent->type != EntryType::regular || parent->inode != now.inode)
        return ContentKind::plain;
    if (parent->kind == ContentKind::pages) return ContentKind::pages;
    const bool in_place =
        parent->size == now.size && parent->mtime != now.mtime && now.size >= kSmallestPageFile;
    return in_place ? ContentKind::pages : ContentKind::plain;
}

TimeStamp later(const TimeStamp& a, const TimeStamp& b) {
    if (a.seconds != b.seconds) return a.seconds > b.seconds ? a : b;
    return a.nanoseconds > b.nanoseconds ? a : b;
}

}  // namespace regrow::backup
