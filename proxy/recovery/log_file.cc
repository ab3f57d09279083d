#include "proxy/recovery/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/file.h"

namespace regrow::recovery {

Result<> prepareLog(const std::string& path, uint64_t limit) {
    const auto directory = std::filesystem::path(path).parent_path().string();
    if (!directory.empty()) REGROW_CHECK(makeDirectories(directory));
    if (logSize(path) <= limit) return {};
    if (::rename(path.c_str(), (path + ".1").c_str()) != 0)
        return failErrno(errno, "turning over the log " + path);
    return {};
}

std::string logTail(const std::string& path, size_t bytes, uint64_t from) {
    const auto fd =
        openFile(path, O_RDONLY | O_NONBLOCK);  // a fifo somebody put there must not hold us
    struct stat status{};
    if (!fd || ::fstat(fd->get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
    const auto size = static_cast<uint64_t>(status.st_size);
    if (size <= from) return {};
    const uint64_t length = std::min<uint64_t>(bytes, size - from);
    std::string tail(length, '\0');
    const ssize_t n = ::pread(fd->get(), tail.data(), length, static_cast<off_t>(size - length));
    tail.resize(n > 0 ? static_cast<size_t>(n) : 0);
    const auto newline = tail.find('\n');
    const bool cut = length < size - from;
    if (cut && newline != std::string::npos && newline + 1 < tail.size())
        tail.erase(0, newline + 1);
    return tail;
}

uint64_t logSize(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

}  // namespace regrow::recovery
