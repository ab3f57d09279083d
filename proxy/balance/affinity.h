#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Which backend a client belongs to by its cookie. The cookie's value is a token: the first 96 bits
// of HMAC-SHA256 over pool and backend *name*, under a key that only this installation has. It
// tells nobody a name or an address, nobody can make one for a backend of his choice, and it stays
// good when another server fills the place or the proxy is started anew. Built by control when a
// configuration changes, immutable, any thread.
namespace regrow {

class Affinity {
  public:
    struct Backend {
        std::string_view name;
        uint32_t slot = 0;
    };
    struct Place {
        uint32_t slot = 0;
        uint32_t index = 0;  // among the backends it was built from
    };

    Affinity(std::string cookie, std::string_view key, std::string_view pool,
             std::span<const Backend> backends);

    const std::string& cookie() const { return cookie_; }
    std::optional<Place> find(std::string_view token) const;
    // The value of the Set-Cookie field that ties a client to this backend; empty: not one of ours.
    // Secure where the client came over TLS: then it never goes out in clear.
    std::string_view setCookie(uint32_t slot, bool secure) const;

  private:
    struct Entry {
        std::string token;
        Place place;
        std::string set_cookie;  // with "; Secure" at its end
    };
    std::string cookie_;
    std::vector<Entry> entries_;     // by token
    std::vector<uint32_t> by_slot_;  // (slot - first_slot_) to entry
    uint32_t first_slot_ = 0;
};

}  // namespace regrow
