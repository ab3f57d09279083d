#include "proxy/cli/demo_faults.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/file.h"

namespace regrow::cli {
namespace {

Result<> signalGroup(long pid, int number) {
    if (pid <= 1) return fail(Code::not_found, Source::us, "the backend has no process now");
    if (::kill(static_cast<pid_t>(-pid), number) != 0)
        return failErrno(errno, "signalling process group " + std::to_string(pid), Source::us);
    return {};
}

}  // namespace

Result<> killServer(long pid) {
    return signalGroup(pid, SIGKILL);
}
Result<> hangServer(long pid) {
    return signalGroup(pid, SIGSTOP);
}

Result<> wipeData(const std::string& data) {
    std::error_code error;
    std::filesystem::remove_all(data, error);
    if (error) return fail(Code::io, Source::disk, "removing " + data + ": " + error.message());
    return {};
}

Result<std::string> damageNewestPack(const std::string& repository) {
    namespace fs = std::filesystem;
    std::error_code error;
    fs::path newest;
    fs::file_time_type when = fs::file_time_type::min();
    for (fs::recursive_directory_iterator it(repository + "/packs", error), end;
         !error && it != end; it.increment(error))
        if (it->is_regular_file(error) && it->last_write_time(error) >= when)
            when = it->last_write_time(error), newest = it->path();
    if (newest.empty())
        return fail(Code::not_found, Source::repository, "no pack in " + repository);
    const auto size = fs::file_size(newest, error);
    fs::permissions(newest, fs::perms::owner_write, fs::perm_options::add, error);
    REGROW_TRY(const UniqueFd fd, openFile(newest.string(), O_RDWR));
    std::string bytes(std::min<size_t>(64, size / 2), '\0');
    const auto middle = static_cast<off_t>(size / 3);
    if (::pread(fd.get(), bytes.data(), bytes.size(), middle) < 0)
        return failErrno(errno, newest.string());
    for (char& byte : bytes) byte = static_cast<char>(byte ^ 0x5a);
    if (::pwrite(fd.get(), bytes.data(), bytes.size(), middle) < 0)
        return failErrno(errno, newest.string());
    return newest.filename().string();
}

}  // namespace regrow::cli
