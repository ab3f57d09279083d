#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "base/http/body.h"
#include "base/http/parser.h"
#include "tests/support/allocation_counter.h"

using namespace regrow::http;

TEST_CASE("parsing heads and bodies allocates nothing", "[http][no-sanitizer]") {
    const std::string request =
        "POST /a/%2Fb?c HTTP/1.1\r\nHost: [::1]:80\r\nCookie: a\r\nConnection: close, "
        "x\r\nX_Forwarded_For: 1\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
    const std::string response = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nUpgrade: a, b\r\n\r\n";
    const std::string body = "5\r\nhello\r\n0\r\nX: y\r\n\r\n";
    RequestHead request_head;
    ResponseHead response_head;

    const uint64_t before = regrow::test::threadAllocations();
    REQUIRE(std::make_unique<int>(1) != nullptr);
    const uint64_t counted = regrow::test::threadAllocations();
    RequestParser requests;
    const bool first =
        requests.parse(std::string_view(request).substr(0, 40), request_head).outcome ==
        Outcome::need_more;
    const bool second = requests.parse(request, request_head).outcome == Outcome::done;
    ResponseParser responses;
    const bool third = responses.parse(response, response_head).outcome == Outcome::done;
    BodyDecoder decoder(request_head.body);
    const BodyStep payload = decoder.next(body);
    const BodyStep end = decoder.next(std::string_view(body).substr(payload.consumed));
    const uint64_t after = regrow::test::threadAllocations();

    CHECK(counted > before);  // the counter counts
    CHECK(after == counted);
    CHECK((first && second && third && payload.payload == "hello" &&
           end.kind == BodyStep::Kind::done));
}
