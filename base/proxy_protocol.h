#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/address.h"

// The header by which one proxy tells the next who its client is (HAProxy's proxy-protocol.txt,
// 2020 edition), read and written. Pure, any thread, no allocation.
//
//     v1   "PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n", at most 107 bytes
//     v2   12 bytes of signature, version and command, family, length; addresses; then TLVs
//
// Reading is stricter than the specification where two readers could differ: numbers have one
// spelling, a TLV must end where the header ends, a checksum that is there must be right.
namespace regrow {

// What a connection was before somebody passed it on.
struct ClientEnds {
    Address source;       // the client
    Address destination;  // what it connected to
};

enum class ProxyVersion : uint8_t { v1, v2 };

struct ProxyHeader {
    // False: the sender speaks for itself (a health check), or does not know; the ends are those of
    // the connection.
    bool relayed = false;
    ClientEnds ends;
};

// Which versions a reader takes.
enum class ProxyAccepts : uint8_t { v1, v2, any };

struct ProxyParse {
    enum class Outcome : uint8_t { done, need_more, error };
    Outcome outcome = Outcome::need_more;
    size_t bytes = 0;       // done: the header's length; what follows is the client's
    std::string_view flaw;  // error: a constant
};

// The 107 bytes of v1, by the specification.
inline constexpr size_t kProxyV1Most = 107;
// Of v2 with its TLVs: certificates' names and cloud providers' identifiers fit ten times over.
inline constexpr size_t kProxyV2Most = 4096;
// That any header of ours fits.
inline constexpr size_t kProxyHeaderRoom = 232;

// Call with all bytes received so far, again whenever there are more; never asks for more than the
// bounds above.
ProxyParse parseProxyHeader(std::string_view received, ProxyAccepts accepts, ProxyHeader& header);

// Writes into `out`, of kProxyHeaderRoom bytes; returns the length. Ends of two families are both
// written as IPv6; v1 calls unix sockets UNKNOWN, for it has no word for them.
size_t writeProxyHeader(ProxyVersion version, const ClientEnds& ends, char* out);
// The same for a connection of our own, a health check: LOCAL, or UNKNOWN.
size_t writeLocalProxyHeader(ProxyVersion version, char* out);

}  // namespace regrow
