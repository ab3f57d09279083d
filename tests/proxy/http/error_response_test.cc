#include "proxy/http/error_response.h"

#include <array>
#include <catch2/catch.hpp>
#include <string>

#include "base/http/flaw.h"
#include "tests/support/http_text.h"

using namespace regrow;
using namespace regrow::proxy;

namespace {

std::string written(const ErrorResponse& response) {
    std::array<char, kErrorResponseBytes> buffer{};
    HeadWriter out(buffer.data(), buffer.size());
    writeErrorResponse(out, response);
    REQUIRE_FALSE(out.full());
    return std::string(out.text());
}

std::string date(int64_t seconds) {
    std::array<char, 64> buffer{};
    HeadWriter out(buffer.data(), buffer.size());
    writeHttpDate(out, seconds);
    return std::string(out.text());
}

}  // namespace

TEST_CASE("our own answers are whole messages", "[http]") {
    ErrorResponse r;
    r.status = 503;
    r.retry_after_s = 5;
    CHECK(written(r) ==
          "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; "
          "charset=utf-8\r\nContent-Length: 72\r\n"
          "Cache-Control: no-store\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
          "503 Service Unavailable: no backend can take the request now; try again\n");
    for (const uint16_t status :
         {400, 404, 408, 413, 414, 417, 431, 500, 501, 502, 503, 504, 505, 599}) {
        r.status = status;
        r.head_only = false;
        const std::string text = written(r);
        http::ResponseHead head;
        const auto parsed = test::parseWhole(text, head);
        INFO(text);
        REQUIRE(parsed.outcome == http::Outcome::done);
        CHECK(head.status == status);
        CHECK(text.size() - parsed.bytes == head.content_length);
        r.head_only = true;
        CHECK(written(r).size() == parsed.bytes);
    }
}

TEST_CASE("an answer to a bad request says what was bad", "[http]") {
    ErrorResponse r;
    r.status = http::statusOf(http::Flaw::bare_lf);
    r.detail = http::textOf(http::Flaw::bare_lf);
    CHECK(written(r).ends_with("\r\n\r\n400 Bad Request: a line ends with LF alone\n"));
}

TEST_CASE("HTTP dates", "[http]") {
    CHECK(date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
}
