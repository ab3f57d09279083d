#include <arpa/inet.h>

#include <charconv>
#include <cstring>

#include "proxy/http/client_address.h"
#include "proxy/http/forward.h"

namespace regrow::proxy {

// An IPv4 client of a dual-stack listener is named as IPv4: that is how everybody else will write
// it.
namespace {

// inet_ntop goes through vfprintf, which a connection for one request feels.
uint8_t writeIpv4(const uint8_t* bytes, char* to) {
    char* at = to;
    for (int i = 0; i < 4; ++i) {
        if (i > 0) *at++ = '.';
        at = std::to_chars(at, at + 3, bytes[i]).ptr;
    }
    return static_cast<uint8_t>(at - to);
}

uint8_t writeIpv6(const in6_addr& address, std::array<char, 44>& to) {
    ::inet_ntop(AF_INET6, &address, to.data(), static_cast<socklen_t>(to.size()));
    return static_cast<uint8_t>(std::strlen(to.data()));
}

}  // namespace

ClientIdentity::ClientIdentity(const Address& peer, bool tls, const ProxyTrust& trust)
    : key_(clientKey(peer)), trusted_(trust.trusts(peer)), tls_(tls) {
    if (peer.family() == AF_INET) {
        const auto* in = reinterpret_cast<const sockaddr_in*>(peer.sockaddrPtr());
        ip_size_ = writeIpv4(reinterpret_cast<const uint8_t*>(&in->sin_addr), ip_.data());
    } else if (peer.family() == AF_INET6) {
        const auto* in6 = reinterpret_cast<const sockaddr_in6*>(peer.sockaddrPtr());
        ipv6_ = !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
        ip_size_ = ipv6_ ? writeIpv6(in6->sin6_addr, ip_)
                         : writeIpv4(&in6->sin6_addr.s6_addr[12], ip_.data());
    } else {
        std::memcpy(ip_.data(), "unknown", ip_size_ = 7);
    }
}

}  // namespace regrow::proxy
