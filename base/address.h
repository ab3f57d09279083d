#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace regrow {

// A socket address: IPv4, IPv6 or a unix path. A value; compares by bytes.
// Parsing never resolves names: that may block, and belongs to a resolver in the background.
class Address {
  public:
    Address() = default;
    // "127.0.0.1:80", "[::1]:80", "unix:/path". "0.0.0.0:0" lets the kernel choose a port.
    static Result<Address> parse(std::string_view text);
    static Address fromSockaddr(const sockaddr* sa, socklen_t length);
    static Address loopback(uint16_t port);

    const sockaddr* sockaddrPtr() const { return reinterpret_cast<const sockaddr*>(&storage_); }
    socklen_t length() const { return length_; }
    int family() const { return storage_.ss_family; }
    bool valid() const { return length_ != 0; }
    bool isUnix() const { return family() == AF_UNIX; }
    bool isLoopback() const;
    uint16_t port() const;
    std::string host() const;  // without port; the path for unix
    std::string text() const;  // what parse() takes

    friend bool operator==(const Address& a, const Address& b);

  private:
    sockaddr_storage storage_{};
    socklen_t length_ = 0;
};

}  // namespace regrow
