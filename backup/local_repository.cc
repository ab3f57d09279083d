#include "backup/local_repository.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "backup/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "base/text.h"

namespace regrow::backup {
namespace {

constexpr std::string_view kTemporaryFolder = "tmp";
constexpr std::string_view kConfig = "config";
constexpr auto kTemporaryLife = std::chrono::hours(24);

struct CloseDirectory {
    void operator()(DIR* d) const { ::closedir(d); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::unexpected<Error> repositoryErrno(int error, std::string_view what) {
    return failErrno(error, what, Source::repository);
}

WallTime timeOf(const timespec& t) {
    return WallTime(std::chrono::duration_cast<Wall::duration>(
        std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec)));
}

std::string folderOf(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

Result<std::string> readExactly(int fd, uint64_t offset, uint64_t length, std::string_view name) {
    std::string bytes;
    makeRoom(bytes, length);
    size_t done = 0;
    while (done < length) {
        const ssize_t n =
            ::pread(fd, bytes.data() + done, length - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return repositoryErrno(errno, "reading " + std::string(name));
        if (n == 0)
            return fail(Code::corrupt, Source::repository,
                        std::string(name) + " ends at byte " + std::to_string(offset + done) +
                            ", before " + std::to_string(offset + length));
        done += static_cast<size_t>(n);
    }
    return bytes;
}

// Everything in one directory but "." and ".."; nothing when it is absent.
Result<std::vector<std::string>> namesIn(const std::string& path) {
    std::vector<std::string> names;
    const Directory d(::opendir(path.c_str()));
    if (!d && errno == ENOENT) return names;
    if (!d) return repositoryErrno(errno, "listing " + path);
    errno = 0;
    while (const dirent* const e = ::readdir(d.get())) {
        const std::string name(e->d_name);
        if (name != "." && name != "..") names.push_back(name);
        errno = 0;
    }
    if (errno != 0) return repositoryErrno(errno, "listing " + path);
    std::sort(names.begin(), names.end());
    return names;
}

Result<> listInto(const std::string& root, const std::string& folder,
                  std::vector<ObjectInfo>& objects) {
    REGROW_TRY(const auto names, namesIn(root + "/" + folder));
    for (const std::string& n : names) {
        const std::string name = fmt::format("{}/{}", folder, n);
        struct stat st{};
        if (!validObjectName(name) || ::lstat(fmt::format("{}/{}", root, name).c_str(), &st) != 0)
            continue;  // gone meanwhile
        if (S_ISDIR(st.st_mode)) REGROW_CHECK(listInto(root, name, objects));
        if (S_ISREG(st.st_mode))
            objects.push_back({name, static_cast<uint64_t>(st.st_size), timeOf(st.st_mtim)});
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<LocalRepository>> LocalRepository::initialise(const std::string& path) {
    auto made = makeDirectories(path);
    if (!made) return std::unexpected(std::move(made.error()).in("making the repository"));
    REGROW_TRY(const auto names, namesIn(path));
    if (std::find(names.begin(), names.end(), kConfig) != names.end())
        return fail(Code::exists, Source::repository,
                    path + " is a repository already; it is left as it is");
    if (!names.empty())
        return fail(Code::exists, Source::repository,
                    path + " is not empty (" + names.front() +
                        "); a new repository wants an empty or absent directory");
    if (::mkdir((path + "/" + std::string(kTemporaryFolder)).c_str(), 0700) != 0)
        return repositoryErrno(errno, "making " + path + "/tmp");
    return std::unique_ptr<LocalRepository>(new LocalRepository(path));
}

Result<std::unique_ptr<LocalRepository>> LocalRepository::open(const std::string& path) {
    struct stat st{};
    const auto missing = [&](const std::string& what) {
        return fail(Code::not_found, Source::repository,
                    what +
                        "; if there should be one, look whether its disk is mounted and the path "
                        "is right; make a new one with: "
                        "regrow repo init --repo " +
                        path + " --key-file FILE");
    };
    if (::stat(path.c_str(), &st) != 0) {
        if (errno == ENOENT) return missing("there is no repository at " + path);
        return repositoryErrno(errno, "repository " + path);
    }
    if (!S_ISDIR(st.st_mode))
        return fail(Code::invalid, Source::repository,
                    "repository " + path + " is not a directory");
    if (::stat((path + "/" + std::string(kConfig)).c_str(), &st) != 0) {
        if (errno == ENOENT) return missing(path + " holds no repository (no file 'config')");
        return repositoryErrno(errno, "repository " + path);
    }
    return std::unique_ptr<LocalRepository>(new LocalRepository(path));
}

std::string LocalRepository::pathOf(std::string_view name) const {
    assert(validObjectName(name));
    return root_ + "/" + std::string(name);
}

Result<std::string> LocalRepository::writeTemporary(std::string_view bytes) {
    std::string path = root_ + "/tmp/" + toHex(secureRandomBytes(16));
    const auto written = [&]() -> Result<> {
        auto fd = openFile(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (!fd && fd.error().code == Code::not_found) {  // someone tidied the empty tmp/ away
            REGROW_CHECK(makeDirectories(root_ + "/tmp"));
            fd = openFile(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        }
        if (!fd) return std::unexpected(std::move(fd.error()));
        REGROW_CHECK(writeAll(fd->get(), bytes, path));
        if (::fdatasync(fd->get()) != 0) return repositoryErrno(errno, "fdatasync " + path);
        return {};
    }();
    if (written) return path;
    ::unlink(path.c_str());
    Error error = written.error();
    error.source = Source::repository;
    if (error.code == Code::no_space)
        error.message += "; free some space there, or prune old snapshots";
    return std::unexpected(std::move(error));
}

Result<> LocalRepository::makeFolders(std::string_view name) {
    std::string path = root_;
    for (size_t slash = name.find('/'); slash != std::string_view::npos;
         slash = name.find('/', slash + 1)) {
        const std::string parent = path;
        path = root_ + "/" + std::string(name.substr(0, slash));
        if (::mkdir(path.c_str(), 0700) == 0) {
            REGROW_CHECK(syncDirectory(parent));
        } else if (errno != EEXIST) {
            return repositoryErrno(errno, "making folder " + path);
        }
    }
    return {};
}

Result<bool> LocalRepository::publish(const std::string& temporary, std::string_view name) {
    const std::string path = pathOf(name);
    if (::link(temporary.c_str(), path.c_str()) != 0) {
        const int error = errno;
        // On NFS a link whose reply was lost is tried again and then says EEXIST: two links mean
        // that it was ours.
        struct stat st{};
        const bool ours = ::stat(temporary.c_str(), &st) == 0 && st.st_nlink == 2;
        if (error != EEXIST && !ours) return repositoryErrno(error, "publishing " + path);
        REGROW_CHECK(syncDirectory(folderOf(path)));
        return ours;
    }
    REGROW_CHECK(syncDirectory(folderOf(path)));
    return true;
}

Result<bool> LocalRepository::create(std::string_view name, std::string_view bytes) {
    REGROW_TRY(const auto existing, stat(name));
    if (existing) {
        // Whoever made it may not have come to this yet, and the caller will count on it.
        REGROW_CHECK(syncDirectory(folderOf(pathOf(name))));
        return false;
    }
    REGROW_CHECK(makeFolders(name));
    REGROW_TRY(const std::string temporary, writeTemporary(bytes));
    auto published = publish(temporary, name);
    ::unlink(temporary.c_str());
    return published;
}

Result<std::string> LocalRepository::get(std::string_view name, uint64_t offset, uint64_t length) {
    const UniqueFd fd(::open(pathOf(name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return repositoryErrno(errno, "object " + std::string(name));
    return readExactly(fd.get(), offset, length, name);
}

Result<std::string> LocalRepository::getAll(std::string_view name, uint64_t limit) {
    const UniqueFd fd(::open(pathOf(name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return repositoryErrno(errno, "object " + std::string(name));
    struct stat st{};
    if (::fstat(fd.get(), &st) != 0) return repositoryErrno(errno, "object " + std::string(name));
    const auto size = static_cast<uint64_t>(st.st_size);
    if (!S_ISREG(st.st_mode) || size > limit)
        return fail(Code::corrupt, Source::repository,
                    "object " + std::string(name) + " is of " + std::to_string(size) +
                        " bytes, more than its kind can have");
    return readExactly(fd.get(), 0, size, name);
}

Result<std::optional<ObjectInfo>> LocalRepository::stat(std::string_view name) {
    struct stat st{};
    if (::lstat(pathOf(name).c_str(), &st) == 0)
        return ObjectInfo{std::string(name), static_cast<uint64_t>(st.st_size), timeOf(st.st_mtim)};
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<ObjectInfo>();
    return repositoryErrno(errno, "object " + std::string(name));
}

Result<std::vector<ObjectInfo>> LocalRepository::list(std::string_view folder) {
    std::vector<ObjectInfo> objects;
    REGROW_CHECK(listInto(root_, std::string(folder), objects));
    std::sort(objects.begin(), objects.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return objects;
}

Result<> LocalRepository::remove(std::string_view name) {
    const std::string path = pathOf(name);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return repositoryErrno(errno, "removing " + path);
    return {};
}

Result<std::optional<Space>> LocalRepository::space() {
    struct statvfs fs{};
    if (::statvfs(root_.c_str(), &fs) != 0) return repositoryErrno(errno, "free space of " + root_);
    return Space{fs.f_bavail * fs.f_frsize, fs.f_blocks * fs.f_frsize};
}

void LocalRepository::sweepTemporaries() {
    const auto names = namesIn(root_ + "/tmp");
    if (!names) return;
    for (const std::string& n : *names) {
        const std::string path = root_ + "/tmp/" + n;
        struct stat st{};
        if (::lstat(path.c_str(), &st) == 0 && Wall::now() - timeOf(st.st_mtim) > kTemporaryLife)
            ::unlink(path.c_str());
    }
}

}  // namespace regrow::backup
