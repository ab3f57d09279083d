#include "proxy/net/listener.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"

namespace regrow::net {
namespace {

constexpr int kBacklog = 4096;

std::string remedy(int error) {
    if (error == EADDRINUSE)
        return "; another process has it: stop that one (ss -ltnp shows it) or choose another "
               "address in `listen`";
    if (error == EACCES)
        return "; ports below 1024 need root or CAP_NET_BIND_SERVICE: start as root with `user`, "
               "or choose a higher port";
    if (error == EADDRNOTAVAIL)
        return "; no interface of this machine has that address: use one that `ip addr` shows";
    return {};
}

std::unexpected<Error> bindFailed(int error, const Address& address) {
    auto failed = failErrno(error, "cannot listen on " + address.text(), Source::config);
    failed.error().message += remedy(error);
    return failed;
}

Result<UniqueFd> boundSocket(const Address& address, bool reuse_port, int unix_mode) {
    UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return failErrno(errno, "cannot make a socket for " + address.text(), Source::us);
    const int on = 1;
    // The mode before bind is the most that the path is created with (Linux), so that it is never
    // open to more, not even for an instant; the umask may take of it, which is given back after.
    if (address.isUnix()) ::fchmod(fd.get(), static_cast<mode_t>(unix_mode));
    if (!address.isUnix()) {
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (reuse_port) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
        ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on,
                     sizeof on);  // accepted sockets inherit it
        if (address.family() == AF_INET6)
            ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (::bind(fd.get(), address.sockaddrPtr(), address.length()) < 0)
        return bindFailed(errno, address);
    if (address.isUnix() && ::chmod(address.host().c_str(), static_cast<mode_t>(unix_mode)) < 0)
        return bindFailed(errno, address);
    return fd;
}

Result<Address> localAddress(int fd) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* sa = reinterpret_cast<sockaddr*>(&storage);
    if (::getsockname(fd, sa, &length) < 0) return failErrno(errno, "getsockname", Source::us);
    return Address::fromSockaddr(sa, length);
}

// A unix path left behind by a process that died is removed; one that still answers is taken.
Result<> clearUnixPath(const Address& address) {
    struct stat status{};
    const std::string path = address.host();
    if (::lstat(path.c_str(), &status) < 0) return {};
    if (!S_ISSOCK(status.st_mode))
        return fail(Code::exists, Source::config,
                    "cannot listen on " + address.text() +
                        ": the path exists and is not a socket; move it away");
    // EAGAIN: somebody is there, with a full backlog.
    const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(probe.get(), address.sockaddrPtr(), address.length()) == 0 || errno == EAGAIN)
        return bindFailed(EADDRINUSE, address);
    if (::unlink(path.c_str()) < 0) return bindFailed(errno, address);
    return {};
}

}  // namespace

Result<ListenSockets> ListenSockets::open(const Address& address, int workers, int unix_mode) {
    ListenSockets sockets;
    sockets.address_ = address;
    if (address.isUnix()) {
        REGROW_CHECK(clearUnixPath(address));
    } else {
        REGROW_TRY(const UniqueFd probe, boundSocket(address, false, unix_mode));
        REGROW_TRY(sockets.address_, localAddress(probe.get()));
    }
    const int count = address.isUnix() ? 1 : workers;
    for (int i = 0; i < count; ++i) {
        REGROW_TRY(UniqueFd fd, boundSocket(sockets.address_, true, unix_mode));
        sockets.fds_.push_back(std::move(fd));
    }
    for (const UniqueFd& fd : sockets.fds_)
        if (::listen(fd.get(), kBacklog) < 0) return bindFailed(errno, address);
    return sockets;
}

int ListenSockets::fd(int worker) const {
    return fds_[fds_.size() == 1 ? 0 : static_cast<size_t>(worker)].get();
}

void ListenSockets::close() {
    if (!fds_.empty() && address_.isUnix()) ::unlink(address_.host().c_str());
    fds_.clear();
}

Acceptor::Acceptor(event_base* base, int fd, uint32_t listener_slot, OnAccept on_accept,
                   void* owner)
    : fd_(fd), slot_(listener_slot), on_accept_(on_accept), owner_(owner) {
    event_assign(
        &event_, base, fd, EV_READ | EV_PERSIST,
        [](evutil_socket_t, short, void* self) {
            static_cast<Acceptor*>(self)->acceptUpTo(kAcceptsATurn);
        },
        this);
}

Acceptor::~Acceptor() {
    if (active_) event_del(&event_);
}

void Acceptor::start() {
    paused_ = false;
    if (!active_) event_add(&event_, nullptr);
    active_ = true;
}

void Acceptor::pause() {
    if (active_) event_del(&event_);
    active_ = false;
    paused_ = true;
}

void Acceptor::stop() {
    if (!active_) return;
    event_del(&event_);
    active_ = false;
    while (acceptUpTo(kAcceptsATurn)) continue;
    paused_ = false;
}

bool Acceptor::acceptUpTo(int count) {
    for (int i = 0; i < count; ++i) {
        sockaddr_storage peer{};
        socklen_t length = sizeof peer;
        auto* sa = reinterpret_cast<sockaddr*>(&peer);
        UniqueFd fd(::accept4(fd_, sa, &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (fd) {
            on_accept_(owner_, std::move(fd), Address::fromSockaddr(sa, length), slot_);
            if (paused_) return false;
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log::warn("listener", "cannot accept: {}; pausing (raise LimitNOFILE if this repeats)",
                      failErrno(errno, "accept", Source::us).error().message);
            pause();
        }
        return false;
    }
    return true;
}

}  // namespace regrow::net
