#include "backup/restore_target.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <ranges>
#include <set>

#include "backup/content_reader.h"
#include "backup/store.h"
#include "backup/walk.h"

namespace regrow::backup {
namespace {

std::unexpected<Error> failAt(int error, std::string_view what, const Entry& entry) {
    return failErrno(error, fmt::format("{} \"{}\"", what, printable(entry.path)));
}

bool sameNode(const Entry& a, const Entry& b) {
    return a.type == b.type && a.target == b.target && a.device == b.device;
}

mode_t nodeType(EntryType type) {
    if (type == EntryType::fifo) return S_IFIFO;
    return type == EntryType::block_device ? S_IFBLK : S_IFCHR;
}

Result<> punch(int fd, uint64_t begin, uint64_t end) {
    if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
                    static_cast<off_t>(end - begin)) == 0)
        return {};
    if (errno != EOPNOTSUPP) return failErrno(errno, "punching a hole");
    const std::string zeros(std::min<uint64_t>(end - begin, 1 << 20), '\0');
    for (uint64_t at = begin; at < end;) {
        const ssize_t n = ::pwrite(fd, zeros.data(), std::min<uint64_t>(zeros.size(), end - at),
                                   static_cast<off_t>(at));
        if (n < 0) return failErrno(errno, "writing zeros");
        at += static_cast<uint64_t>(n);
    }
    return {};
}

// Calls `on_gap(begin, end)` for each run of the file that no piece covers.
Result<> forEachGap(const Entry& entry, const std::function<Result<>(uint64_t, uint64_t)>& on_gap) {
    uint64_t at = 0;
    for (const Piece& piece : entry.pieces) {
        if (piece.file_offset > at) REGROW_CHECK(on_gap(at, piece.file_offset));
        at = piece.file_offset + piece.length;
    }
    return at < entry.size ? on_gap(at, entry.size) : Result<>();
}

bool readExactly(int fd, uint64_t offset, std::string& buffer) {
    size_t have = 0;
    while (have < buffer.size()) {
        const ssize_t n = ::pread(fd, buffer.data() + have, buffer.size() - have,
                                  static_cast<off_t>(offset + have));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        have += static_cast<size_t>(n);
    }
    return true;
}

}  // namespace

RestoreTarget::RestoreTarget(const TreeDir& root, std::span<const Entry> entries,
                             const TreePlan& plan, const Selection& selection)
    : tree_(UniqueFd(::fcntl(root.root(), F_DUPFD_CLOEXEC, 0))),
      entries_(entries),
      plan_(plan),
      selection_(selection),
      found_(entries.size()) {}

Result<> RestoreTarget::prepare(bool empty) {
    if (!empty) {
        REGROW_CHECK(scan());
        REGROW_CHECK(removeExtras());
        REGROW_CHECK(removeWrongLinks());
        tree_.forget();
    }
    return makeDirectories();
}

const Entry* RestoreTarget::found(uint32_t entry) const {
    return found_[entry];
}

Result<> RestoreTarget::scan() {
    const WalkOptions how{
        .exclude = nullptr, .with_xattrs = true, .with_sockets = true, .known = {}};
    REGROW_TRY(WalkResult walked, walk(tree_, how));
    for (const Problem& problem : walked.problems)
        if (problem.breaks_promise && selection_.covers(problem.path, false))
            return fail(Code::permission, Source::disk,
                        fmt::format("\"{}\" in the target cannot be looked at: {}",
                                    printable(problem.path), problem.message));
    existing_ = std::move(walked.entries);
    devices_ = std::move(walked.devices);
    links_ = std::move(walked.links);
    return {};
}

Result<> RestoreTarget::removeExtras() {
    auto wanted = entries_.size();
    for (auto i = existing_.size();
         i-- > 0;) {  // backwards: what is in a directory before the directory
        const Entry& there = existing_[i];
        while (wanted > 0 && pathLess(there.path, entries_[wanted - 1].path)) --wanted;
        const bool known = wanted > 0 && entries_[wanted - 1].path == there.path;
        if (known && entries_[wanted - 1].type == there.type)
            found_[wanted - 1] = &there;
        else
            REGROW_CHECK(standsInTheWay(there, known ? &entries_[wanted - 1] : nullptr));
    }
    return {};
}

Result<> RestoreTarget::standsInTheWay(const Entry& there, const Entry* wanted) {
    if (selection_.covers(there) || (wanted && selection_.covers(*wanted)))
        return removeName(there);
    if (!wanted) return {};
    return fail(Code::refused, Source::disk,
                fmt::format("\"{}\" is a {} in the target and a {} in the snapshot, and is not "
                            "among what is to be restored: move it away, or include it",
                            printable(there.path), typeName(there.type), typeName(wanted->type)));
}

// A file may be written to only when all names of its inode are names of this very file in the
// snapshot.
Result<> RestoreTarget::removeWrongLinks() {
    std::map<std::pair<uint64_t, uint64_t>, std::set<uint64_t>>
        groups;  // inode: the link groups its names belong to
    std::map<std::pair<uint64_t, uint64_t>, uint64_t> names;
    const auto inodeOf = [&](const Entry* e) {
        return std::pair(devices_[static_cast<size_t>(e - existing_.data())], e->inode);
    };
    for (size_t i = 0; i < entries_.size(); ++i)
        if (found_[i] && found_[i]->link_group) {
            groups[inodeOf(found_[i])].insert(entries_[i].link_group);
            ++names[inodeOf(found_[i])];
        }
    for (size_t i = 0; i < entries_.size(); ++i) {
        if (!found_[i] || !found_[i]->link_group) continue;
        const auto inode = inodeOf(found_[i]);
        const auto& of = groups[inode];
        const bool only_here =
            links_[static_cast<size_t>(found_[i] - existing_.data())] == names[inode];
        if (only_here && of.size() == 1 && !of.contains(0)) continue;
        REGROW_CHECK(removeName(*found_[i]));
        found_[i] = nullptr;
    }
    return {};
}

Result<> RestoreTarget::removeName(const Entry& existing) {
    const SplitPath at = splitPath(existing.path);
    REGROW_TRY(const int directory, tree_.at(at.directory));
    const int flag = existing.type == EntryType::directory ? AT_REMOVEDIR : 0;
    if (::unlinkat(directory, at.name.c_str(), flag) != 0 && errno != ENOENT)
        return failAt(errno, "removing", existing);
    if (flag) tree_.forget();
    ++removed_;
    return {};
}

Result<> RestoreTarget::makeDirectories() {
    for (const uint32_t i : plan_.directories) {
        const Entry& entry = entries_[i];
        if (entry.path.empty()) continue;
        const SplitPath at = splitPath(entry.path);
        REGROW_TRY(const int directory, tree_.at(at.directory));
        if (found_[i]) {
            // Its own mode may keep us (when not root) from writing into it.
            if ((found_[i]->mode & 0700) != 0700 &&
                ::fchmodat(directory, at.name.c_str(), found_[i]->mode | 0700, 0) != 0)
                return failAt(errno, "opening up directory", entry);
        } else if (::mkdirat(directory, at.name.c_str(), 0700) != 0) {
            return failAt(errno, "making directory", entry);
        }
    }
    return {};
}

Result<> RestoreTarget::makeOthers() {
    for (const uint32_t i : plan_.others) REGROW_CHECK(makeOther(i));
    return {};
}

Result<> RestoreTarget::makeOther(uint32_t i) {
    const Entry& entry = entries_[i];
    const SplitPath at = splitPath(entry.path);
    REGROW_TRY(const int directory, tree_.at(at.directory));
    if (found_[i] && !sameNode(entry, *found_[i])) {
        REGROW_CHECK(removeName(*found_[i]));
        found_[i] = nullptr;
    }
    if (found_[i]) {
        if (differences(entry, *found_[i], owners_, true).empty()) return {};
        return applyMetadata(directory, at.name, entry, found_[i], owners_, problems_);
    }
    const bool made =
        entry.type == EntryType::symlink
            ? ::symlinkat(entry.target.c_str(), directory, at.name.c_str()) == 0
            : ::mknodat(directory, at.name.c_str(), nodeType(entry.type) | 0600, entry.device) == 0;
    if (!made && errno == EPERM && entry.type != EntryType::symlink) {
        problems_.push_back(
            {entry.path, fmt::format("{} not made: not permitted", typeName(entry.type)), true});
        return {};
    }
    if (!made) return failAt(errno, fmt::format("making {}", typeName(entry.type)), entry);
    return applyMetadata(directory, at.name, entry, nullptr, owners_, problems_);
}

Result<> RestoreTarget::makeLinks() {
    for (const TreePlan::Link& link : plan_.links) REGROW_CHECK(makeLink(link));
    return {};
}

Result<> RestoreTarget::makeLink(const TreePlan::Link& link) {
    const Entry& entry = entries_[link.entry];
    const SplitPath first = splitPath(entries_[link.first].path);
    const SplitPath at = splitPath(entry.path);
    // Descriptors of our own: the kept ones may be closed by the second question.
    REGROW_TRY(const UniqueFd from, tree_.openDirectory(first.directory));
    REGROW_TRY(const int directory, tree_.at(at.directory));
    struct stat target{};
    struct stat there{};
    if (::fstatat(from.get(), first.name.c_str(), &target, AT_SYMLINK_NOFOLLOW) != 0)
        return failAt(errno, "linking", entry);
    if (::fstatat(directory, at.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) {
        if (target.st_ino == there.st_ino && target.st_dev == there.st_dev) return {};
        if (::unlinkat(directory, at.name.c_str(), 0) != 0)
            return failAt(errno, "replacing", entry);
    }
    if (::linkat(from.get(), first.name.c_str(), directory, at.name.c_str(), 0) != 0)
        return failAt(errno, "linking", entry);
    return {};
}

Result<> RestoreTarget::finishDirectories() {
    for (const uint32_t i : plan_.directories | std::views::reverse)
        REGROW_CHECK(finishDirectory(i));
    return {};
}

Result<> RestoreTarget::finishDirectory(uint32_t i) {
    const Entry& entry = entries_[i];
    const Entry* before = found_[i];
    REGROW_TRY(const UniqueFd fd, tree_.openDirectory(entry.path));
    if (!before || selection_.covers(entry))
        return applyMetadata(fd.get(), "", entry, before, owners_, problems_);
    if ((before->mode & 0700) == 0700) return {};  // it was there, and was not opened up
    return ::fchmod(fd.get(), before->mode) == 0 ? Result<>()
                                                 : failAt(errno, "giving back its mode to", entry);
}

Result<bool> shapeFile(int fd, const Entry& wanted, uint64_t size_now) {
    bool changed = false;
    if (size_now != wanted.size) {
        if (::ftruncate(fd, static_cast<off_t>(wanted.size)) != 0)
            return failAt(errno, "setting the size of", wanted);
        changed = true;
    }
    const auto punchGap = [&](uint64_t begin, uint64_t end) -> Result<> {
        bool data = false;
        const auto found = forEachExtent(fd, begin, end, [&](uint64_t, uint64_t) -> Result<> {
            data = true;
            return {};
        });
        if (!found || !data) return found;
        changed = true;
        return punch(fd, begin, end);
    };
    REGROW_CHECK(forEachGap(wanted, punchGap));
    return changed;
}

Result<std::vector<bool>> piecesMissing(int directory, const std::string& name, const Entry& wanted,
                                        const Mac& mac,
                                        const std::function<void(uint64_t)>& on_bytes) {
    std::vector<bool> missing(wanted.pieces.size(), true);
    const UniqueFd fd(
        ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return failAt(errno, "comparing", wanted);
    std::string buffer;
    for (size_t i = 0; i < wanted.pieces.size(); ++i) {
        buffer.resize(wanted.pieces[i].length);
        missing[i] = !readExactly(fd.get(), wanted.pieces[i].file_offset, buffer) ||
                     mac.of(buffer) != wanted.pieces[i].id;
        on_bytes(buffer.size());
    }
    return missing;
}

}  // namespace regrow::backup
