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
    Status{100, "Continue", ""},
    Status{101, "Switching Protocols", ""},
    Status{103, "Early Hints", ""},
    Status{200, "OK", ""},
    Status{201, "Created", ""},
    Status{202, "Accepted", ""},
    Status{204, "No Content", ""},
    Status{206, "Partial Content", ""},
    Status{301, "Moved Permanently", ""},
    Status{302, "Found", ""},
    Status{303, "See Other", ""},
    Status{304, "Not Modified", ""},
    Status{307, "Temporary Redirect", ""},
    Status{308, "Permanent Redirect", ""},
    Status{400, "Bad Request", "the request is not valid HTTP"},
    Status{401, "Unauthorized", "a user name and password are needed here"},
    Status{403, "Forbidden", "this may not be asked from there"},
    Status{404, "Not Found", "no route is configured for this host and path"},
    Status{405, "Method Not Allowed", "this method is not served here"},
    Status{408, "Request Timeout", "the request did not arrive in time"},
    Status{409, "Conflict", ""},
    Status{410, "Gone", "this is no longer here"},
    Status{412, "Precondition Failed", ""},
    Status{413, "Content Too Large", "the request body is too large"},
    Status{414, "URI Too Long", "the request target is too long"},
    Status{415, "Unsupported Media Type", ""},
    Status{416, "Range Not Satisfiable", ""},
    Status{417, "Expectation Failed", "only 100-continue can be expected"},
    Status{421, "Misdirected Request", "this host is not served on this connection"},
    Status{422, "Unprocessable Content", ""},
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

void writeErrorBody(HeadWriter& out, const ErrorResponse& response) {
    const Status* known = find(response.status);
    const std::string_view fallback = known != nullptr ? known->detail : "";
    const std::string_view detail = response.detail.empty() ? fallback : response.detail;
    out.addNumber(response.status), out.add(' '), out.add(reasonPhrase(response.status));
    if (!detail.empty()) out.add(": "), out.add(detail);
    out.add('\n');
}

void writeErrorResponse(HeadWriter& out, const ErrorResponse& response) {
    std::array<char, 2 * kErrorResponseBytes> text;
    HeadWriter body(text.data(), text.size());
    writeErrorBody(body, response);

    out.add("HTTP/1.1 "), out.addNumber(response.status), out.add(' ');
    out.add(reasonPhrase(response.status)), out.add("\r\n");
    ErrorText numbers;
    visitErrorFields(
        response, body.size(), numbers,
        [&](std::string_view name, std::string_view value) { out.addField(name, value); });
    out.add(response.keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
    if (!response.head_only) out.add(body.text());
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
