#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>

namespace regrow {
namespace {

std::string parentOf(const std::string& path) {
    const auto parent = std::filesystem::path(path).parent_path().string();
    return parent.empty() ? "." : parent;
}

// Unique within the machine while the process lives; a leftover of a dead process with the same pid
// is overwritten.
std::string temporaryName(const std::string& path) {
    static std::atomic<unsigned> counter{0};
    return path + ".tmp." + std::to_string(::getpid()) + "." + std::to_string(counter++);
}

}  // namespace

Result<UniqueFd> openFile(const std::string& path, int flags, unsigned mode) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd) return failErrno(errno, path);
    return fd;
}

Result<std::string> readFile(const std::string& path, size_t limit) {
    REGROW_TRY(const UniqueFd fd, openFile(path, O_RDONLY));
    std::string content;
    char buffer[65536];
    while (true) {
        const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failErrno(errno, "reading " + path);
        if (n == 0) return content;
        content.append(buffer, static_cast<size_t>(n));
        if (content.size() > limit)
            return fail(
                Code::invalid, Source::disk,
                path + ": larger than the " + std::to_string(limit) + " bytes allowed here");
    }
}

Result<> writeAll(int fd, std::string_view content, std::string_view what) {
    while (!content.empty()) {
        const ssize_t n = ::write(fd, content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failErrno(errno, "writing " + std::string(what));
        content.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

Result<> writeFileAtomic(const std::string& path, std::string_view content, unsigned mode) {
    const std::string temporary = temporaryName(path);
    const auto written = [&]() -> Result<> {
        REGROW_TRY(const UniqueFd fd,
                   openFile(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode));
        REGROW_CHECK(writeAll(fd.get(), content, temporary));
        if (::fdatasync(fd.get()) != 0) return failErrno(errno, "fdatasync " + temporary);
        if (::rename(temporary.c_str(), path.c_str()) != 0)
            return failErrno(errno, "renaming to " + path);
        return syncDirectory(parentOf(path));
    }();
    if (!written) ::unlink(temporary.c_str());
    return written;
}

Result<> syncDirectory(const std::string& path) {
    REGROW_TRY(const UniqueFd fd, openFile(path, O_RDONLY | O_DIRECTORY));
    if (::fsync(fd.get()) != 0) return failErrno(errno, "fsync of directory " + path);
    return {};
}

Result<> makeDirectories(const std::string& path, unsigned mode) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1))
        if (::mkdir(path.substr(0, slash).c_str(), mode) != 0 && errno != EEXIST)
            return failErrno(errno, "creating directory " + path.substr(0, slash));
    if (::mkdir(path.c_str(), mode) == 0) return {};
    struct stat st{};
    if (errno == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) return {};
    return failErrno(errno, "creating directory " + path);
}

bool exists(const std::string& path) {
    struct stat st{};
    return ::lstat(path.c_str(), &st) == 0;
}

}  // namespace regrow
