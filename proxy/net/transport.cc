#include "proxy/net/transport.h"

#include <sys/socket.h>

#include <cerrno>

namespace regrow::net {
namespace {

IoResult outcome(ssize_t n, bool receiving) {
    if (n > 0) return {IoResult::Kind::bytes, static_cast<size_t>(n), 0};
    if (n == 0) return {receiving ? IoResult::Kind::closed : IoResult::Kind::would_block, 0, 0};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {};
    return {IoResult::Kind::failed, 0, errno};
}

}  // namespace

IoResult Transport::receive(char* to, size_t room) {
    ssize_t n = 0;
    do n = ::recv(fd_.get(), to, room, 0);
    while (n < 0 && errno == EINTR);
    return outcome(n, true);
}

IoResult Transport::send(const iovec* parts, int count) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);  // sendmsg(2) does not write through it
    message.msg_iovlen = static_cast<size_t>(count);
    ssize_t n = 0;
    do n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return outcome(n, false);
}

IoResult Transport::send(std::string_view bytes) {
    ssize_t n = 0;
    do n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return outcome(n, false);
}

IoResult Transport::peek() const {
    char byte = 0;
    return outcome(::recv(fd_.get(), &byte, 1, MSG_PEEK), true);
}

int Transport::connectError() const {
    int error = 0;
    socklen_t length = sizeof error;
    if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length) < 0) return errno;
    return error;
}

void Transport::shutdownSend() {
    ::shutdown(fd_.get(), SHUT_WR);
}

void Transport::abort() {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    fd_.reset();
}

}  // namespace regrow::net
