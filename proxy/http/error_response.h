#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/http/head_writer.h"

namespace regrow::proxy {

// What we answer ourselves. Small plain text: the status, and one line that says whose turn it is.
struct ErrorResponse {
    uint16_t status = 500;
    std::string_view
        detail;  // one line without full stop, e.g. textOf(flaw); empty: the status's own
    uint32_t retry_after_s = 0;  // 0: no Retry-After
    bool keep_alive = false;     // false writes Connection: close
    bool head_only = false;      // the request was HEAD
    std::string_view date;       // IMF-fixdate; empty: no Date
};
// At most kErrorResponseBytes plus the detail twice.
inline constexpr size_t kErrorResponseBytes = 512;
void writeErrorResponse(HeadWriter& out, const ErrorResponse& response);

inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string_view reasonPhrase(uint16_t status);  // "Bad Gateway"; "" when unknown
// "Sun, 06 Nov 1994 08:49:37 GMT" (29 bytes). Once a second per worker, not per request.
void writeHttpDate(HeadWriter& out, int64_t unix_seconds);

}  // namespace regrow::proxy
