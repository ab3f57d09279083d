#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/http/field.h"

namespace regrow::proxy {

// The base64 of the one Authorization field, when it is one of scheme Basic (RFC 7617); else empty.
std::string_view basicToken(const http::FieldList& fields);

struct BasicCredentials {
    std::string user, password;
};
// Nothing when it is not base64 of "user:password". Allocates: for what is not known yet.
std::optional<BasicCredentials> decodeBasic(std::string_view token);

}  // namespace regrow::proxy
