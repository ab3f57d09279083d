#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/http/parser.h"
#include "tests/support/http_text.h"

using namespace regrow::http;
using namespace regrow::test;

namespace {

ResponseHead parsed(const std::string& text) {
    ResponseHead head;
    const ParseResult r = parseWhole(text, head);
    INFO(text << textOf(r.flaw));
    REQUIRE(r.outcome == Outcome::done);
    REQUIRE(r.bytes == text.size());
    return head;
}

Flaw flawOf(const std::string& text) {
    ResponseHead head;
    return parseWhole(text, head).flaw;
}

std::string ok(const std::string& fields) {
    return "HTTP/1.1 200 OK\r\n" + fields + "\r\n";
}

}  // namespace

TEST_CASE("a response head is read into views, split anywhere", "[http]") {
    const std::string text = "HTTP/1.1 404 Not There\r\nContent-Length: 3\r\nX: y\r\n\r\n";
    for (size_t cut = 0; cut <= text.size(); ++cut) {
        ResponseHead h;
        std::string storage;
        const auto r = parseInPieces(text, std::vector<size_t>{cut, text.size()}, h, storage);
        REQUIRE(r.outcome == Outcome::done);
        REQUIRE(h.status == 404);
        REQUIRE(h.reason == "Not There");
        REQUIRE(h.content_length == 3);
        REQUIRE(h.fields.find("x")->value() == "y");
    }
}

TEST_CASE("status lines", "[http]") {
    CHECK(parsed("HTTP/1.1 200\r\n\r\n").reason.empty());
    CHECK(parsed("HTTP/1.1 200 \r\n\r\n").reason.empty());
    CHECK(parsed("HTTP/1.0 200 OK\r\n\r\n").version == Version::http10);
    for (const char* bad : {"HTTP/1.1 99 X", "HTTP/1.1 600 X", "HTTP/1.1 20 X", "HTTP/1.1 2000 X",
                            "HTTP/1.1  200 X", "HTTP/1.1 -12 X", "HTTP/1.1"}) {
        INFO(bad);
        CHECK(flawOf(bad + std::string("\r\n\r\n")) == Flaw::bad_status);
    }
    CHECK(flawOf("HTTP/2.0 200 OK\r\n\r\n") == Flaw::unsupported_version);
    CHECK(flawOf("SSH-2.0-OpenSSH\r\n") == Flaw::bad_version);
    CHECK(flawOf("\r\nHTTP/1.1 200 OK\r\n\r\n") == Flaw::bad_version);
}

TEST_CASE("how a response body ends", "[http]") {
    const Body none{}, chunked{BodyKind::chunked, 0}, close{BodyKind::until_close, 0};
    CHECK(parsed(ok("Content-Length: 5\r\n")).bodyFor(Method::get) == Body{BodyKind::length, 5});
    CHECK(parsed(ok("Content-Length: 0\r\n")).bodyFor(Method::get) == none);
    CHECK(parsed(ok("Transfer-Encoding: chunked\r\n")).bodyFor(Method::get) == chunked);
    CHECK(parsed(ok("")).bodyFor(Method::get) == close);
    CHECK(parsed(ok("Content-Length: 5\r\n")).bodyFor(Method::head) == none);
    CHECK(parsed(ok("Transfer-Encoding: chunked\r\n")).bodyFor(Method::head) == none);
    CHECK(parsed("HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n").bodyFor(Method::get) == none);
    CHECK(parsed("HTTP/1.1 204 N\r\nContent-Length: 0\r\n\r\n").bodyFor(Method::get) == none);
    CHECK(parsed("HTTP/1.1 100 C\r\n\r\n").bodyFor(Method::post) == none);
    CHECK(parsed("HTTP/1.1 100 C\r\n\r\n").interim());
    const std::string granted =
        "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    CHECK(parsed(granted).bodyFor(Method::get).kind == BodyKind::tunnel);
    CHECK(parsed(granted).upgrade == "websocket");
    CHECK_FALSE(parsed(granted).interim());
}

TEST_CASE("what a backend must not say", "[http]") {
    CHECK(flawOf(ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")) ==
          Flaw::length_and_encoding);
    CHECK(flawOf(ok("Content-Length: 5\r\nContent-Length: 5\r\n")) ==
          Flaw::duplicate_content_length);
    CHECK(flawOf(ok("Transfer-Encoding: gzip\r\n")) == Flaw::bad_transfer_encoding);
    CHECK(flawOf("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") ==
          Flaw::encoding_on_http10);
    CHECK(flawOf("HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n") ==
          Flaw::encoding_forbidden);
    CHECK(flawOf("HTTP/1.1 204 N\r\nContent-Length: 1\r\n\r\n") == Flaw::body_forbidden);
    CHECK(flawOf("HTTP/1.1 101 S\r\nContent-Length: 1\r\n\r\n") == Flaw::body_forbidden);
    CHECK(flawOf("HTTP/1.1 200 OK\nA: b\r\n\r\n") == Flaw::bare_lf);
    CHECK(flawOf(ok("A: b\r\n c\r\n")) == Flaw::obs_fold);
}

TEST_CASE("whether the backend's connection can be used again", "[http]") {
    CHECK(parsed(ok("Content-Length: 5\r\n")).keep_alive);
    CHECK_FALSE(parsed(ok("Content-Length: 5\r\nConnection: close\r\n")).keep_alive);
    CHECK_FALSE(parsed("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n").keep_alive);
    CHECK(parsed("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n")
              .keep_alive);
}
