#include "backup/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>

namespace regrow::backup {
namespace {

struct Found {
    Entry entry;
    uint64_t device = 0;
    uint64_t links = 1;
};

struct CloseDir {
    void operator()(DIR* d) const { ::closedir(d); }
};

Result<std::vector<std::string>> listNames(UniqueFd directory) {
    std::unique_ptr<DIR, CloseDir> stream(::fdopendir(directory.get()));
    if (!stream) return failErrno(errno, "listing");
    directory.release();
    std::vector<std::string> names;
    while (true) {
        errno = 0;
        const dirent* item = ::readdir(stream.get());
        if (!item) break;
        if (std::strcmp(item->d_name, ".") != 0 && std::strcmp(item->d_name, "..") != 0)
            names.emplace_back(item->d_name);
    }
    if (errno != 0) return failErrno(errno, "listing");
    std::ranges::sort(names);
    return names;
}

class Walker {
  public:
    Walker(const TreeDir& root, const WalkOptions& options) : root_(root), options_(options) {}

    Result<WalkResult> run() {
        struct stat st{};
        if (::fstat(root_.root(), &st) != 0) return failErrno(errno, "the root");
        REGROW_TRY(Found top, look(root_.root(), "", "", st));
        emit(std::move(top));
        REGROW_CHECK(enter(""));
        while (!levels_.empty()) step();
        numberLinks();
        return std::move(result_);
    }

  private:
    // The children of a directory still to be told. They are looked at together, while the
    // directory is open; no descriptor is kept on the way down, so depth costs memory only.
    struct Level {
        std::vector<Found> children;
        size_t next = 0;
    };

    void step() {
        Level& level = levels_.back();
        if (level.next == level.children.size()) return levels_.pop_back();
        Found found = std::move(level.children[level.next++]);
        const bool directory = found.entry.type == EntryType::directory;
        const std::string path = found.entry.path;
        emit(std::move(found));
        if (!directory) return;
        if (auto entered = enter(path); !entered && entered.error().code != Code::not_found)
            problem(path, entered.error().message, true);
    }

    Result<> enter(const std::string& path) {
        REGROW_TRY(UniqueFd fd, root_.openDirectory(path));
        UniqueFd listing(::openat(fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!listing) return failErrno(errno, printable(path));
        auto names = listNames(std::move(listing));
        if (!names)
            return std::unexpected(
                std::move(names.error()).in(path.empty() ? "the root" : printable(path)));
        Level level;
        level.children.reserve(names->size());
        for (const std::string& name : *names) visit(fd.get(), path, name, level);
        levels_.push_back(std::move(level));
        return {};
    }

    void visit(int directory, const std::string& parent, const std::string& name, Level& level) {
        std::string path = joinPath(parent, name);
        if (parent.empty() && isMarkerName(name)) return;
        struct stat st{};
        if (::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno != ENOENT) problem(path, std::generic_category().message(errno), true);
            return;
        }
        if (options_.exclude && options_.exclude->match(path, S_ISDIR(st.st_mode))) return;
        if (S_ISSOCK(st.st_mode) && !options_.with_sockets)
            return problem(path, "a socket: left out, the service makes it anew", false);
        auto found = look(directory, name, path, st);
        if (found) return level.children.push_back(std::move(*found));
        if (found.error().code != Code::not_found) problem(path, found.error().message, true);
    }

    Result<Found> look(int directory, const std::string& name, const std::string& path,
                       const struct stat& st) {
        Found found{
            .entry = entryFromStat(path, st, owners_), .device = st.st_dev, .links = st.st_nlink};
        if (found.entry.type == EntryType::symlink) {
            REGROW_TRY(found.entry.target, readTarget(directory, name));
        }
        if (!options_.with_xattrs) return found;
        const Entry* known = options_.known ? options_.known(path) : nullptr;
        if (known && known->inode == found.entry.inode && known->ctime == found.entry.ctime) {
            found.entry.xattrs = known->xattrs;
            return found;
        }
        auto xattrs = readXattrs(directory, name);
        if (xattrs)
            found.entry.xattrs = std::move(*xattrs);
        else if (xattrs.error().code == Code::not_found)
            return std::unexpected(std::move(xattrs.error()));
        else
            problem(path, xattrs.error().message, true);
        return found;
    }

    void emit(Found found) {
        result_.entries.push_back(std::move(found.entry));
        result_.devices.push_back(found.device);
        result_.links.push_back(found.links);
    }

    // Names of one inode share a number: the inode's, so that it stays the same from snapshot to
    // snapshot, unless a mount below the root brings the same number again.
    void numberLinks() {
        std::map<std::pair<uint64_t, uint64_t>, uint64_t> groups;
        std::map<uint64_t, bool> taken;
        for (size_t i = 0; i < result_.entries.size(); ++i) {
            Entry& entry = result_.entries[i];
            if (entry.type == EntryType::directory || result_.links[i] < 2) continue;
            auto [it, fresh] = groups.try_emplace({result_.devices[i], entry.inode}, entry.inode);
            if (fresh)
                while (!taken.try_emplace(it->second, true).second) ++it->second;
            entry.link_group = it->second;
        }
    }

    void problem(const std::string& path, std::string message, bool breaks_promise) {
        result_.problems.push_back({path, std::move(message), breaks_promise});
    }

    const TreeDir& root_;
    const WalkOptions& options_;
    OwnerNames owners_;
    std::vector<Level> levels_;
    WalkResult result_;
};

}  // namespace

bool isMarkerName(std::string_view path) {
    return path == ".regrow" || path.starts_with(".regrow.tmp.");
}

Result<WalkResult> walk(const TreeDir& root, const WalkOptions& options) {
    return Walker(root, options).run();
}

}  // namespace regrow::backup
