#include "backup/tree_diff.h"

#include <algorithm>
#include <optional>

#include "backup/tree.h"

namespace regrow::backup {
namespace {

bool sameContent(const Entry& a, const Entry& b) {
    return a.size == b.size && a.target == b.target && a.device == b.device &&
           std::ranges::equal(a.pieces, b.pieces, [](const Piece& p, const Piece& q) {
               return p.file_offset == q.file_offset && p.id == q.id;
           });
}

bool sameMetadata(const Entry& a, const Entry& b) {
    const bool times = a.type == EntryType::directory || a.mtime == b.mtime;
    return times && a.mode == b.mode && a.uid == b.uid && a.gid == b.gid && a.user == b.user &&
           a.group == b.group && a.xattrs == b.xattrs;
}

std::optional<Change> compare(const Entry& a, const Entry& b) {
    if (a.type != b.type) return Change::type;
    if (!sameContent(a, b)) return Change::content;
    if (!sameMetadata(a, b)) return Change::metadata;
    return std::nullopt;
}

class Diff {
  public:
    explicit Diff(const OnChange& on_change) : on_change_(on_change) {}

    void add(const Entry& entry) {
        ++sum_.added;
        sum_.added_bytes += entry.size;
        on_change_(Change::added, nullptr, &entry);
    }
    void remove(const Entry& entry) {
        ++sum_.removed;
        sum_.removed_bytes += entry.size;
        on_change_(Change::removed, &entry, nullptr);
    }
    void both(const Entry& before, const Entry& after) {
        const auto change = compare(before, after);
        if (!change) return;
        on_change_(*change, &before, &after);
        if (*change == Change::metadata) {
            ++sum_.touched;
            return;
        }
        ++sum_.modified;
        sum_.removed_bytes += before.size;
        sum_.added_bytes += after.size;
    }
    const TreeDiff& sum() const { return sum_; }

  private:
    const OnChange& on_change_;
    TreeDiff sum_;
};

}  // namespace

char letterOf(Change change) {
    constexpr char kLetters[] = {'+', '-', 'M', 'U', 'T'};
    return kLetters[static_cast<size_t>(change)];
}

TreeDiff diffTrees(std::span<const Entry> before, std::span<const Entry> after,
                   const OnChange& on_change) {
    Diff diff(on_change);
    auto a = before.begin();
    auto b = after.begin();
    while (a != before.end() || b != after.end()) {
        if (b == after.end() || (a != before.end() && pathLess(a->path, b->path)))
            diff.remove(*a++);
        else if (a == before.end() || pathLess(b->path, a->path))
            diff.add(*b++);
        else
            diff.both(*a++, *b++);
    }
    return diff.sum();
}

}  // namespace regrow::backup
