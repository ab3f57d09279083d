#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/address.h"
#include "base/http/field.h"
#include "proxy/http/trust.h"

// Who a client is, for whatever counts or shares by client. Pure; any thread; no allocation.
namespace regrow::proxy {

// One number a client: an IPv4 address, or the /64 of an IPv6 one, of which everybody has 2^64
// addresses. All peers on unix sockets are one client.
uint64_t clientKey(const Address& client);

// The client that a trusted peer speaks for: the last address in its X-Forwarded-For fields that is
// not of a trusted proxy itself; what stands before it anybody may have written. When all are
// trusted, the first. Nothing when there is none, or one that is read before it is no address.
std::optional<Address> forwardedClient(const http::FieldList& fields, const ProxyTrust& trust);

// "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80".
std::optional<Address> parseNode(std::string_view text);

}  // namespace regrow::proxy
