#include "base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>

namespace regrow {
namespace {

std::unexpected<Error> bad(std::string_view text, std::string_view why) {
    return fail(Code::invalid, Source::config,
                "address '" + std::string(text) + "' " + std::string(why) +
                    "; write HOST:PORT with a numeric host, [IPV6]:PORT or unix:/path");
}

Result<uint16_t> parsePort(std::string_view whole, std::string_view digits) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || digits.empty() ||
        port > 65535)
        return bad(whole, "has no valid port");
    return static_cast<uint16_t>(port);
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
    Address address;
    if (text.find('\0') != std::string_view::npos)
        return bad(text.substr(0, text.find('\0')), "has a zero byte in it");
    if (text.starts_with("unix:")) {
        const auto path = text.substr(5);
        auto& un = reinterpret_cast<sockaddr_un&>(address.storage_);
        if (path.empty() || path.size() >= sizeof un.sun_path)
            return bad(text, "needs a path of 1 to 107 bytes");
        un.sun_family = AF_UNIX;
        std::memcpy(un.sun_path, path.data(), path.size());
        address.length_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
        return address;
    }
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return bad(text, "has no port");
    REGROW_TRY(const uint16_t port, parsePort(text, text.substr(colon + 1)));
    std::string host(text.substr(0, colon));
    if (host.starts_with('[') && host.ends_with(']')) {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage_);
        if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6.sin6_addr) != 1)
            return bad(text, "is not a valid IPv6 address");
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        address.length_ = sizeof v6;
        return address;
    }
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage_);
    if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1)
        return bad(text, "is not a valid IPv4 address");
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    address.length_ = sizeof v4;
    return address;
}

Address Address::fromSockaddr(const sockaddr* sa, socklen_t length) {
    Address address;
    address.length_ = std::min<socklen_t>(length, sizeof address.storage_);
    std::memcpy(&address.storage_, sa, address.length_);
    return address;
}

Address Address::loopback(uint16_t port) {
    Address address;
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage_);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.length_ = sizeof v4;
    return address;
}

bool Address::isLoopback() const {
    if (family() == AF_UNIX) return true;
    if (family() == AF_INET)
        return (ntohl(reinterpret_cast<const sockaddr_in&>(storage_).sin_addr.s_addr) >> 24) == 127;
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage_);
    return family() == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

uint16_t Address::port() const {
    if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(storage_).sin_port);
    if (family() == AF_INET6)
        return ntohs(reinterpret_cast<const sockaddr_in6&>(storage_).sin6_port);
    return 0;
}

std::string Address::host() const {
    char buffer[INET6_ADDRSTRLEN] = {};
    if (family() == AF_UNIX) {
        // An accepted unix peer is usually unnamed: no path at all.
        if (length_ <= offsetof(sockaddr_un, sun_path)) return "";
        return reinterpret_cast<const sockaddr_un&>(storage_).sun_path;
    }
    if (family() == AF_INET)
        ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage_).sin_addr, buffer,
                    sizeof buffer);
    if (family() == AF_INET6)
        ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage_).sin6_addr, buffer,
                    sizeof buffer);
    return buffer;
}

std::string Address::text() const {
    if (!valid()) return "-";
    if (family() == AF_UNIX) return "unix:" + host();
    const std::string port_text = std::to_string(port());
    return family() == AF_INET6 ? "[" + host() + "]:" + port_text : host() + ":" + port_text;
}

bool operator==(const Address& a, const Address& b) {
    return a.length_ == b.length_ && std::memcmp(&a.storage_, &b.storage_, a.length_) == 0;
}

}  // namespace regrow
