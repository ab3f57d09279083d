#include "proxy/recovery/address_owner.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <memory>
#include <set>
#include <vector>

#include "base/file.h"
#include "proxy/recovery/process_table.h"

namespace regrow::recovery {
namespace {

std::vector<std::string_view> words(std::string_view line) {
    std::vector<std::string_view> out;
    while (true) {
        const auto begin = line.find_first_not_of(' ');
        if (begin == std::string_view::npos) return out;
        line.remove_prefix(begin);
        const auto end = line.find(' ');
        out.push_back(line.substr(0, end));
        if (end == std::string_view::npos) return out;
        line.remove_prefix(end);
    }
}

template <class OnLine>
void forEachLine(const std::string& path, OnLine on_line) {
    const auto content = readFile(path, size_t{64} << 20);
    if (!content) return;
    std::string_view rest(*content);
    while (!rest.empty()) {
        const auto newline = rest.find('\n');
        on_line(words(rest.substr(0, newline)));
        if (newline == std::string_view::npos) return;
        rest.remove_prefix(newline + 1);
    }
}

// "  sl local_address rem_address st … inode …": the address is hexadecimal "IP:PORT", state 0A is
// LISTEN, the inode the tenth word. Any address with our port counts: binding has said that one of
// them is in the way.
void addTcpListeners(const std::string& path, uint16_t port, std::set<std::string>& inodes) {
    const std::string suffix = fmt::format(":{:04X}", port);
    forEachLine(path, [&](const auto& line) {
        if (line.size() > 9 && line[3] == "0A" && line[1].ends_with(suffix))
            inodes.emplace(line[9]);
    });
}

// "Num RefCount Protocol Flags Type St Inode Path"; flag 0x10000 is "accepts connections".
void addUnixListeners(const std::string& socket_path, std::set<std::string>& inodes) {
    forEachLine("/proc/net/unix", [&](const auto& line) {
        if (line.size() == 8 && line[7] == socket_path && line[3] == "00010000")
            inodes.emplace(line[6]);
    });
}

bool holdsOneOf(pid_t pid, const std::set<std::string>& inodes) {
    const std::string folder = fmt::format("/proc/{}/fd", pid);
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(folder.c_str()), ::closedir);
    if (!directory) return false;
    while (const dirent* entry = ::readdir(directory.get())) {
        char target[64];
        const ssize_t n =
            ::readlinkat(::dirfd(directory.get()), entry->d_name, target, sizeof target);
        std::string_view link(target, n > 0 ? static_cast<size_t>(n) : 0);
        if (!link.starts_with("socket:[") || !link.ends_with(']')) continue;
        link.remove_prefix(8);
        link.remove_suffix(1);
        if (inodes.contains(std::string(link))) return true;
    }
    return false;
}

std::string ownerOf(const std::set<std::string>& inodes) {
    if (!inodes.empty())
        for (const auto& [pid, stat] : readProcesses())
            if (stat.alive && holdsOneOf(pid, inodes))
                return fmt::format("pid {} ({})", pid, stat.info.name);
    return "another process";
}

// SO_REUSEADDR: connections of a server just gone (TIME_WAIT) are not in the way, its like will say
// the same.
bool addressInUse(const Address& address) {
    const UniqueFd probe(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!probe) return false;
    const int on = 1;
    ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return ::bind(probe.get(), address.sockaddrPtr(), address.length()) != 0 && errno == EADDRINUSE;
}

}  // namespace

std::optional<std::string> whoListensOn(const Address& address) {
    std::set<std::string> inodes;
    if (!address.valid()) return std::nullopt;
    if (address.isUnix()) {
        // Binding would create the file; a socket file that nobody listens on is the server's own
        // to remove.
        addUnixListeners(address.host(), inodes);
        if (inodes.empty()) return std::nullopt;
        return ownerOf(inodes);
    }
    if (address.port() == 0 || !addressInUse(address)) return std::nullopt;
    addTcpListeners("/proc/net/tcp", address.port(), inodes);
    addTcpListeners("/proc/net/tcp6", address.port(), inodes);
    return ownerOf(inodes);
}

}  // namespace regrow::recovery
