#include "backup/untouched.h"

#include <fmt/core.h>

#include "backup/capture_rules.h"
#include "backup/sqlite_capture.h"
#include "backup/store.h"
#include "backup/tree_dir.h"
#include "backup/walk.h"
#include "base/text.h"

namespace regrow::backup {
namespace {

constexpr size_t kNamed = 3;

WallTime wallTime(const TimeStamp& t) {
    return WallTime(std::chrono::seconds(t.seconds) + std::chrono::nanoseconds(t.nanoseconds));
}

class Reasons {
  public:
    void add(std::string_view kind, std::string_view path) {
        if (++count_ <= kNamed)
            names_ += fmt::format("{}\"{}\"", names_.empty() ? "" : ", ",
                                  path.empty() ? "." : printable(path));
        kind_ = kind;
    }
    void into(std::vector<std::string>& out) const {
        if (!count_) return;
        out.push_back(
            fmt::format("{}: {}{}", kind_, names_,
                        count_ > kNamed ? fmt::format(" and {} more", count_ - kNamed) : ""));
    }

  private:
    std::string kind_, names_;
    size_t count_ = 0;
};

void checkMarker(const UntouchedQuestion& q, std::vector<std::string>& out) {
    if (!q.needs_marker) return;
    if (q.marker) {
        const auto held =
            requireMarker(q.data, q.marker->backend, q.marker->lineage, q.marker->epoch);
        if (!held) out.push_back(held.error().message);
        return;
    }
    const auto marker = readMarker(q.data);
    if (!marker)
        out.push_back(marker.error().message);
    else if (!*marker)
        out.push_back(fmt::format("{}: no lineage marker ({})", q.data, kMarkerName));
}

// A name that vanished while the server lived is the server's own doing: services delete files,
// temporary ones between one snapshot and the next. One that vanished after its end is seen as
// well, by its directory, which then changed after the end (checkChanged). What is left is a tree
// that lost most of itself under a living server: a wipe, not housekeeping.
void checkVanished(std::span<const Entry> manifest, std::span<const Entry> there,
                   std::vector<std::string>& out) {
    const size_t gone = vanished(manifest, there);
    if (gone * 2 > manifest.size())
        out.push_back(fmt::format("{} of {} names of the newest snapshot are gone from the disk",
                                  gone, manifest.size()));
    Reasons other;
    auto now = there.begin();
    for (const Entry& entry : manifest) {
        while (now != there.end() && pathLess(now->path, entry.path)) ++now;
        if (now != there.end() && now->path == entry.path && now->type != entry.type)
            other.add("of another type than in the newest snapshot", entry.path);
    }
    other.into(out);
}

void checkChanged(const UntouchedQuestion& q, std::span<const Entry> there,
                  std::vector<std::string>& out) {
    Reasons changed;
    const WallTime latest = q.exited_at + std::chrono::duration_cast<Wall::duration>(q.slack);
    for (const Entry& entry : there) {
        // Whatever touches a file moves its ctime; an mtime may be set to any year, also by the
        // service. Only what SQLite keeps beside a database is touched by those who merely read it,
        // captures among them.
        const bool beside = !sqliteOwner(entry.path).empty();
        if (beside && entry.path.ends_with("-shm")) continue;
        if (wallTime(beside ? entry.mtime : entry.ctime) > latest)
            changed.add("changed after the server's end at " + formatTime(q.exited_at), entry.path);
    }
    changed.into(out);
}

}  // namespace

std::vector<std::string> reasonsAgainst(const UntouchedQuestion& question) {
    std::vector<std::string> out;
    auto root = TreeDir::open(question.data);
    if (!root) return {root.error().message};
    checkMarker(question, out);
    const WalkOptions how{
        .exclude = nullptr, .with_xattrs = false, .with_sockets = true, .known = {}};
    const auto walked = walk(*root, how);
    if (!walked) {
        out.push_back(walked.error().message);
        return out;
    }
    for (const Problem& problem : walked->problems)
        out.push_back(printable(problem.path) + ": " + problem.message);
    checkVanished(question.manifest, walked->entries, out);
    checkChanged(question, walked->entries, out);
    return out;
}

}  // namespace regrow::backup
