#include <arpa/inet.h>

#include <cstring>

#include "proxy/http/forward.h"

namespace regrow::proxy {

// An IPv4 client of a dual-stack listener is named as IPv4: that is how everybody else will write
// it.
ClientIdentity::ClientIdentity(const Address& peer, bool tls, const ProxyTrust& trust)
    : trusted_(trust.trusts(peer)), tls_(tls) {
    const char* text = nullptr;
    if (peer.family() == AF_INET) {
        const auto* in = reinterpret_cast<const sockaddr_in*>(peer.sockaddrPtr());
        text = inet_ntop(AF_INET, &in->sin_addr, ip_.data(), static_cast<socklen_t>(ip_.size()));
    } else if (peer.family() == AF_INET6) {
        const auto* in6 = reinterpret_cast<const sockaddr_in6*>(peer.sockaddrPtr());
        ipv6_ = !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
        const void* address =
            ipv6_ ? static_cast<const void*>(&in6->sin6_addr) : &in6->sin6_addr.s6_addr[12];
        text = inet_ntop(ipv6_ ? AF_INET6 : AF_INET, address, ip_.data(),
                         static_cast<socklen_t>(ip_.size()));
    }
    if (text == nullptr) std::memcpy(ip_.data(), "unknown", 8);
    ip_size_ = static_cast<uint8_t>(std::strlen(ip_.data()));
}

}  // namespace regrow::proxy
