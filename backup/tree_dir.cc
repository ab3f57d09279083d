#include "backup/tree_dir.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace regrow::backup {
namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr size_t kLongestCall = 3072;  // below PATH_MAX, with room

int openBeneath(int directory, const std::string& path) {
    open_how how{};
    how.flags = kDirectoryFlags;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return static_cast<int>(::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how));
}

UniqueFd openNameByName(int directory, std::string_view path) {
    UniqueFd current;
    while (!path.empty()) {
        const size_t slash = std::min(path.find('/'), path.size());
        const std::string name(path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
        if (name == "..") {
            errno = EXDEV;
            return {};
        }
        UniqueFd next(::openat(current ? current.get() : directory, name.c_str(), kDirectoryFlags));
        if (!next) return {};
        current = std::move(next);
    }
    return current;
}

UniqueFd openOnce(int directory, std::string_view path) {
    UniqueFd fd(openBeneath(directory, std::string(path)));
    if (fd || (errno != ENOSYS && errno != EPERM && errno != EAGAIN)) return fd;
    return openNameByName(directory, path);
}

}  // namespace

SplitPath splitPath(std::string_view path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return {.directory = {}, .name = std::string(path)};
    return {.directory = path.substr(0, slash), .name = std::string(path.substr(slash + 1))};
}

std::string joinPath(std::string_view directory, std::string_view name) {
    std::string path(directory);
    if (!path.empty()) path += '/';
    return path.append(name);
}

std::string printable(std::string_view path) {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string out;
    for (size_t i = 0; i < path.size();) {
        const auto c = static_cast<unsigned char>(path[i]);
        const size_t more = c < 0xc2 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 0;
        size_t good = 0;
        while (good < more && i + 1 + good < path.size() &&
               (static_cast<unsigned char>(path[i + 1 + good]) & 0xc0) == 0x80)
            ++good;
        if (more && good == more) {
            out.append(path.substr(i, more + 1));
            i += more + 1;
        } else {
            if (c < 0x20 || c >= 0x7f || c == '\\')
                out.append({'\\', 'x', kHex[c >> 4], kHex[c & 15]});
            else
                out += path[i];
            ++i;
        }
    }
    return out;
}

Result<TreeDir> TreeDir::open(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return failErrno(errno, path);
    return TreeDir(std::move(fd));
}

Result<TreeDir> TreeDir::again() const {
    UniqueFd fd(::fcntl(root_.get(), F_DUPFD_CLOEXEC, 0));
    if (!fd) return failErrno(errno, "duplicating a descriptor");
    return TreeDir(std::move(fd));
}

Result<int> TreeDir::at(std::string_view path) {
    if (path.empty()) return root_.get();
    for (const Kept& kept : kept_)
        if (kept.fd && kept.path == path) return kept.fd.get();
    REGROW_TRY(UniqueFd fd, openDirectory(path));
    Kept& slot = kept_[next_++ % kKept];
    slot = {std::string(path), std::move(fd)};
    return slot.fd.get();
}

Result<UniqueFd> TreeDir::openDirectory(std::string_view path) const {
    UniqueFd current;
    const std::string_view whole = path;
    if (path.empty()) path = ".";
    while (!path.empty()) {
        size_t length = path.size();
        if (length > kLongestCall) {
            const size_t slash = path.rfind('/', kLongestCall);
            if (slash == std::string_view::npos) return failErrno(ENAMETOOLONG, printable(whole));
            length = slash;
        }
        UniqueFd next = openOnce(current ? current.get() : root_.get(), path.substr(0, length));
        if (!next) return failErrno(errno, printable(whole));
        current = std::move(next);
        path.remove_prefix(std::min(length + 1, path.size()));
    }
    return current;
}

void TreeDir::forget() {
    for (Kept& kept : kept_) kept = {};
}

}  // namespace regrow::backup
