#pragma once

#include <array>
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
// "502 Bad Gateway: the backend gave no usable answer\n", for HEAD too.
void writeErrorBody(HeadWriter& out, const ErrorResponse& response);
// Memory for its numbers: what visitErrorFields() hands out stays good as long as this.
struct ErrorText {
    std::array<char, 20> length;
    std::array<char, 10> retry_after;
};
// Its fields but for Connection, as `take(name, value)`.
template <class Take>
void visitErrorFields(const ErrorResponse& response, size_t body_bytes, ErrorText& text,
                      Take&& take) {
    HeadWriter length(text.length.data(), text.length.size());
    length.addNumber(body_bytes);
    take("Content-Type", "text/plain; charset=utf-8");
    take("Content-Length", length.text());
    take("Cache-Control", "no-store");
    if (!response.date.empty()) take("Date", response.date);
    if (response.retry_after_s == 0) return;
    HeadWriter retry_after(text.retry_after.data(), text.retry_after.size());
    retry_after.addNumber(response.retry_after_s);
    take("Retry-After", retry_after.text());
}

inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string_view reasonPhrase(uint16_t status);  // "Bad Gateway"; "" when unknown
// "Sun, 06 Nov 1994 08:49:37 GMT" (29 bytes). Once a second per worker, not per request.
void writeHttpDate(HeadWriter& out, int64_t unix_seconds);

}  // namespace regrow::proxy
