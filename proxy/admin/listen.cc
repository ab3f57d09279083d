#include "proxy/admin/listen.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace regrow::admin {
namespace {

constexpr int kBacklog = 128;

std::unexpected<Error> taken(const Address& address) {
    return fail(Code::exists, Source::config,
                fmt::format("admin.listen {} is taken by another process (is regrow already "
                            "running? see: ss -ltnxp); "
                            "stop that one or change admin.listen",
                            address.text()));
}

std::unexpected<Error> cannotBind(const Address& address, int error) {
    if (error == EADDRINUSE) return taken(address);
    return failErrno(error, fmt::format("admin.listen {}", address.text()), Source::config);
}

bool answers(const Address& address) {
    const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    return ::connect(probe.get(), address.sockaddrPtr(), address.length()) == 0 || errno == EAGAIN;
}

Result<> removeStaleSocket(const Address& address) {
    const std::string path = address.host();
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) return {};
    if (!S_ISSOCK(info.st_mode))
        return fail(Code::exists, Source::config,
                    fmt::format("admin.listen {}: {} exists and is not a socket; move it away or "
                                "change admin.listen",
                                address.text(), path));
    if (answers(address)) return taken(address);
    if (::unlink(path.c_str()) != 0)
        return failErrno(errno, fmt::format("remove old socket {}", path), Source::config);
    return {};
}

Result<> bindUnix(int fd, const Address& address) {
    REGROW_CHECK(removeStaleSocket(address));
    // fchmod before bind decides the mode the path is created with (Linux): it is never open to
    // others, not even for an instant, and the process's umask stays alone.
    ::fchmod(fd, 0600);
    if (::bind(fd, address.sockaddrPtr(), address.length()) != 0) return cannotBind(address, errno);
    return {};
}

}  // namespace

Result<UniqueFd> listenAdmin(const Address& address) {
    UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return cannotBind(address, errno);
    if (address.isUnix()) {
        REGROW_CHECK(bindUnix(fd.get(), address));
    } else {
        const int on = 1;
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (::bind(fd.get(), address.sockaddrPtr(), address.length()) != 0)
            return cannotBind(address, errno);
    }
    if (::listen(fd.get(), kBacklog) != 0) return cannotBind(address, errno);
    return fd;
}

Address localAddress(int fd) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length);
    return Address::fromSockaddr(reinterpret_cast<const sockaddr*>(&storage), length);
}

}  // namespace regrow::admin
