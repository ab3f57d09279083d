#pragma once

#include <cstring>
#include <string_view>

#include "base/address.h"
#include "base/crc32c.h"

// The constants of the PROXY protocol and its numbers and addresses as bytes, for
// proxy_protocol*.cc.
namespace regrow::proxy_wire {

inline constexpr std::string_view kV1Prefix = "PROXY ";
inline constexpr std::string_view kV2Signature("\r\n\r\n\0\r\nQUIT\n", 12);
inline constexpr size_t kV2Fixed = 16;  // signature, command, family, length
inline constexpr size_t kTlvHead = 3;
inline constexpr size_t kUnixPath = 108;

inline constexpr unsigned char kLocal = 0x20;
inline constexpr unsigned char kProxied = 0x21;
inline constexpr unsigned kUnspecified = 0x00;
inline constexpr unsigned kInetStream = 0x11;
inline constexpr unsigned kInet6Stream = 0x21;
inline constexpr unsigned kUnixStream = 0x31;
inline constexpr unsigned char kTlvCrc32c = 0x03;

inline uint16_t readU16(std::string_view at) {
    return static_cast<uint16_t>(static_cast<unsigned char>(at[0]) << 8 |
                                 static_cast<unsigned char>(at[1]));
}
inline uint32_t readU32(std::string_view at) {
    return static_cast<uint32_t>(readU16(at)) << 16 | readU16(at.substr(2));
}

inline Address addressV4(const unsigned char* bytes, uint16_t port) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, bytes, 4);
    return Address::fromSockaddr(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
}
inline Address addressV6(const unsigned char* bytes, uint16_t port) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, bytes, 16);
    return Address::fromSockaddr(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
}
// A path up to its first zero byte; none, or Linux's abstract names: an unnamed socket.
inline Address addressUnix(std::string_view field) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    const auto path = field.substr(0, std::min(field.find('\0'), sizeof un.sun_path - 1));
    std::memcpy(un.sun_path, path.data(), path.size());
    const size_t named = path.empty() ? 0 : path.size() + 1;
    return Address::fromSockaddr(reinterpret_cast<const sockaddr*>(&un),
                                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + named));
}

}  // namespace regrow::proxy_wire
