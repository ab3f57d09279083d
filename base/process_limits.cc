#include "base/process_limits.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "base/file.h"

namespace regrow {
namespace {

// A fact about the process, as its limit itself is; there is one of both.
rlim_t& startedWith() {
    static rlim_t soft = 0;  // 0: not raised
    return soft;
}

// "max", or what is no number, is no limit.
uint64_t limitIn(const std::string& path) {
    const auto text = readFile(path, 64);
    uint64_t bytes = 0;
    if (!text ||
        std::from_chars(text->data(), text->data() + text->size(), bytes).ec != std::errc())
        return UINT64_MAX;
    return bytes;
}

// The least of the group's own limit and those of all above it (cgroup v2).
uint64_t groupMemory() {
    const auto text = readFile("/proc/self/cgroup", 65536);
    const size_t at = text ? text->find("0::/") : std::string::npos;
    if (at == std::string::npos) return UINT64_MAX;
    std::string group = text->substr(at + 3, text->find('\n', at) - at - 3);
    uint64_t least = limitIn("/sys/fs/cgroup/memory.max");
    while (group.size() > 1) {
        least = std::min(least, limitIn("/sys/fs/cgroup" + group + "/memory.max"));
        group.resize(group.rfind('/'));
    }
    return least;
}

}  // namespace

uint64_t raiseDescriptorLimit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1024;
    const rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (soft == limit.rlim_max || ::setrlimit(RLIMIT_NOFILE, &limit) < 0) return soft;
    if (startedWith() == 0) startedWith() = soft;
    return limit.rlim_cur;
}

void restoreDescriptorLimit() {
    rlimit limit{};
    if (startedWith() == 0 || ::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = std::min(startedWith(), limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t machineMemory() {
    const auto pages = static_cast<uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 0L));
    const auto size = static_cast<uint64_t>(std::max(::sysconf(_SC_PAGESIZE), 0L));
    return std::min(pages * size, groupMemory());
}

}  // namespace regrow
