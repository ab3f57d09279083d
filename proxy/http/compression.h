#pragma once

#include <cstdint>
#include <string_view>

#include "base/http/head.h"
#include "conf/config.h"

namespace regrow::proxy {

// Which coding of a response's content a client takes, of those we can make, and which responses
// are worth it. Pure.

// The best of `preferred` (in that order) that an Accept-Encoding allows: weights other than 0 do
// not reorder them, because what costs us least is ours to say (RFC 9110 12.5.3). No field, or one
// that makes no sense: identity.
conf::Coding chooseCoding(std::string_view accept_encoding, const conf::Compression& preferred);

// Cache-Control: no-transform, of a request as of a response (RFC 9111 5.2).
bool forbidsTransforming(const http::FieldList& fields);

// Whether a response may be encoded: whole (not a range, not of HEAD), of a type that shrinks, not
// encoded yet, large enough to gain, and not marked no-transform. Such a response varies with
// Accept-Encoding, also when this client gets it plain.
bool compressible(const http::ResponseHead& head, http::Method method,
                  const conf::Compression& how);

std::string_view textOf(conf::Coding coding);  // "gzip", as in Content-Encoding

}  // namespace regrow::proxy
