#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace regrow::proxy {

// Which peers may tell us who the client was. Immutable once built, shared by all workers; asked
// once per connection.
class ProxyTrust {
  public:
    ProxyTrust() = default;  // trusts nobody
    // "10.0.0.0/8", "2001:db8::/32", "192.0.2.1" (one address), "unix" (peers on a unix socket).
    // Bits set beyond the prefix are an error: they are a slip of the pen, and which half was meant
    // is unknowable.
    static Result<ProxyTrust> parse(const std::vector<std::string>& cidrs);

    bool trusts(const Address& peer) const;
    // As ClientIdentity::ip() has it; "unknown" is a peer on a unix socket. For lists of networks
    // that are not about trust, too.
    bool contains(std::string_view ip) const;
    bool empty() const { return networks_.empty() && !unix_peers_; }

  private:
    struct Network {
        std::array<uint8_t, 16> prefix{};  // IPv4 as ::ffff:a.b.c.d
        int bits = 0;                      // of the 128
    };
    bool within(const std::array<uint8_t, 16>& address) const;
    static Result<Network> parseNetwork(const std::string& text);

    std::vector<Network> networks_;
    bool unix_peers_ = false;
};

}  // namespace regrow::proxy
