#include "proxy/http/error_response.h"

#include <array>
#include <ctime>

namespace regrow::proxy {
namespace {

struct Status {
    uint16_t code;
    std::string_view reason;
    std::string_view detail;
};
constexpr std::array kStatuses = {
    Status{400, "Bad Request", "the request is not valid HTTP"},
    Status{404, "Not Found", "no route is configured for this host and path"},
    Status{405, "Method Not Allowed", "this method is not served here"},
    Status{408, "Request Timeout", "the request did not arrive in time"},
    Status{413, "Content Too Large", "the request body is too large"},
    Status{414, "URI Too Long", "the request target is too long"},
    Status{417, "Expectation Failed", "only 100-continue can be expected"},
    Status{421, "Misdirected Request", "this host is not served on this connection"},
    Status{429, "Too Many Requests", "slow down and try again"},
    Status{431, "Request Header Fields Too Large", "the request head is too large"},
    Status{500, "Internal Server Error", "the proxy failed"},
    Status{501, "Not Implemented", "this method is not supported"},
    Status{502, "Bad Gateway", "the backend gave no usable answer"},
    Status{503, "Service Unavailable", "no backend can take the request now; try again"},
    Status{504, "Gateway Timeout", "the backend did not answer in time"},
    Status{505, "HTTP Version Not Supported", "use HTTP/1.1"},
};

const Status* find(uint16_t code) {
    for (const Status& s : kStatuses)
        if (s.code == code) return &s;
    return nullptr;
}

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void addTwoDigits(HeadWriter& out, int number) {
    out.add(static_cast<char>('0' + number / 10 % 10));
    out.add(static_cast<char>('0' + number % 10));
}

}  // namespace

std::string_view reasonPhrase(uint16_t status) {
    const Status* known = find(status);
    return known != nullptr ? known->reason : std::string_view();
}

void writeErrorResponse(HeadWriter& out, const ErrorResponse& response) {
    const Status* known = find(response.status);
    const std::string_view reason = known != nullptr ? known->reason : "";
    const std::string_view fallback = known != nullptr ? known->detail : "";
    const std::string_view detail = response.detail.empty() ? fallback : response.detail;
    const std::string_view separator = detail.empty() ? "" : ": ";
    // "502 Bad Gateway: the backend gave no usable answer\n"
    const size_t body_size = 4 + reason.size() + separator.size() + detail.size() + 1;

    out.add("HTTP/1.1 "), out.addNumber(response.status), out.add(' '), out.add(reason),
        out.add("\r\n");
    out.add("Content-Type: text/plain; charset=utf-8\r\nContent-Length: "),
        out.addNumber(body_size);
    out.add("\r\nCache-Control: no-store\r\n");
    if (!response.date.empty()) out.addField("Date", response.date);
    if (response.retry_after_s != 0)
        out.add("Retry-After: "), out.addNumber(response.retry_after_s), out.add("\r\n");
    out.add(response.keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
    if (response.head_only) return;
    out.addNumber(response.status), out.add(' '), out.add(reason), out.add(separator),
        out.add(detail), out.add('\n');
}

void writeHttpDate(HeadWriter& out, int64_t unix_seconds) {
    const std::time_t seconds = unix_seconds;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    out.add(kDays[static_cast<size_t>(utc.tm_wday)]), out.add(", ");
    addTwoDigits(out, utc.tm_mday), out.add(' ');
    out.add(kMonths[static_cast<size_t>(utc.tm_mon)]), out.add(' ');
    out.addNumber(uint64_t{1900} + static_cast<uint64_t>(utc.tm_year)), out.add(' ');
    addTwoDigits(out, utc.tm_hour), out.add(':');
    addTwoDigits(out, utc.tm_min), out.add(':');
    addTwoDigits(out, utc.tm_sec), out.add(" GMT");
}

}  // namespace regrow::proxy
