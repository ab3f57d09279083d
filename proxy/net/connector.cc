#include "proxy/net/connector.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

namespace regrow::net {

Connecting startConnect(const Address& address) {
    Connecting result;
    result.fd.reset(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!result.fd) {
        result.error = errno;
        return result;
    }
    const int on = 1;
    if (!address.isUnix()) ::setsockopt(result.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(result.fd.get(), address.sockaddrPtr(), address.length()) == 0) {
        result.connected = true;
    } else if (errno !=
               EINPROGRESS) {  // EAGAIN: a unix socket's backlog is full, which is a refusal too
        result.error = errno;
        result.fd.reset();
    }
    return result;
}

}  // namespace regrow::net
