#include "proxy/net/ends.h"

#include <sys/socket.h>

namespace regrow::net {
namespace {

using Ask = int (*)(int, sockaddr*, socklen_t*);

bool ask(Ask which, int fd, Address& address) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* sa = reinterpret_cast<sockaddr*>(&storage);
    if (which(fd, sa, &length) != 0) return false;
    address = Address::fromSockaddr(sa, length);
    return true;
}

}  // namespace

bool socketEnds(int fd, ClientEnds& ends) {
    return ask(::getpeername, fd, ends.source) && ask(::getsockname, fd, ends.destination);
}

}  // namespace regrow::net
