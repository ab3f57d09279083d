#include "proxy/http/forward.h"

#include <array>
#include <catch2/catch.hpp>
#include <string>

#include "base/http/body.h"
#include "tests/support/allocation_counter.h"
#include "tests/support/http_text.h"

using namespace regrow;
using namespace regrow::proxy;
using http::Method;
using http::Version;

namespace {

ClientIdentity client(const std::string& address, bool trusted = false, bool tls = false) {
    const ProxyTrust trust = ProxyTrust::parse({trusted ? "0.0.0.0/0" : "203.0.113.0/24"}).value();
    return {Address::parse(address).value(), tls, trust};
}

// What the backend gets for what the client said.
std::string forwarded(const std::string& request, const ClientIdentity& from,
                      const RequestForward& how = {}) {
    http::RequestHead head;
    REQUIRE(test::parseWhole(request, head).outcome == http::Outcome::done);
    std::array<char, 4096> buffer{};
    HeadWriter out(buffer.data(), buffer.size());
    writeRequestHead(out, head, from, how);
    REQUIRE_FALSE(out.full());
    return std::string(out.text());
}

// What the client gets for what the backend said.
std::string answered(const std::string& response, const ResponseForward& how = {}) {
    http::ResponseHead head;
    REQUIRE(test::parseWhole(response, head).outcome == http::Outcome::done);
    std::array<char, 4096> buffer{};
    HeadWriter out(buffer.data(), buffer.size());
    writeResponseHead(out, head, how);
    REQUIRE_FALSE(out.full());
    return std::string(out.text());
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a request is written anew", "[http]") {
    CHECK(forwarded(
              "GET /a%2Fb?c HTTP/1.1\r\nHost: w.example:8080\r\nAccept:  */* \r\nCookie: k\r\n\r\n",
              client("192.0.2.1:5")) ==
          "GET /a%2Fb?c HTTP/1.1\r\n"
          "Host: w.example:8080\r\n"
          "Accept: */*\r\n"
          "Cookie: k\r\n"
          "X-Forwarded-For: 192.0.2.1\r\n"
          "X-Forwarded-Proto: http\r\n"
          "X-Forwarded-Host: w.example:8080\r\n"
          "Forwarded: for=192.0.2.1;host=\"w.example:8080\";proto=http\r\n"
          "Via: 1.1 regrow\r\n"
          "\r\n");
}

TEST_CASE("absolute-form becomes origin-form, HTTP/1.0 becomes 1.1", "[http]") {
    const std::string absolute =
        forwarded("GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n", client("192.0.2.1:5"));
    CHECK(absolute.starts_with("GET /?q HTTP/1.1\r\nHost: a\r\n"));
    RequestForward how;
    how.fallback_host = "10.0.0.1:80";
    const std::string old = forwarded("GET / HTTP/1.0\r\n\r\n", client("192.0.2.1:5"), how);
    CHECK(old.starts_with("GET / HTTP/1.1\r\nHost: 10.0.0.1:80\r\n"));
    CHECK(has(old, "Via: 1.0 regrow\r\n"));
    CHECK_FALSE(has(old, "X-Forwarded-Host"));
}

TEST_CASE("what belongs to the client's connection stays there", "[http]") {
    const std::string text = forwarded(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Mine, Cookie\r\nKeep-Alive: "
        "1\r\nProxy-Connection: x\r\nX-Mine: 1\r\n"
        "Cookie: c\r\nTE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nProxy-Authorization: "
        "p\r\nProxy: http://evil\r\nExpect: 100-continue\r\n"
        "Trailer: X\r\nContent-Length: 3\r\n\r\n",
        client("192.0.2.1:5"));
    for (const char* gone : {"Connection", "X-Mine", "Keep-Alive", "TE:", "Upgrade", "HTTP2",
                             "Proxy-A", "Proxy:", "Expect", "Trailer"}) {
        INFO(gone);
        CHECK_FALSE(has(text, gone));
    }
    CHECK(has(text, "Cookie: c\r\n"));
    CHECK(has(text, "Content-Length: 3\r\n"));
}

TEST_CASE("framing is ours", "[http]") {
    const auto from = client("192.0.2.1:5");
    const std::string chunked = forwarded(
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\nTrailer: X\r\n\r\n", from);
    CHECK(has(chunked, "Transfer-Encoding: chunked\r\n"));
    CHECK(has(chunked, "Trailer: X\r\n"));
    CHECK(has(forwarded("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", from),
              "Content-Length: 0\r\n"));
    RequestForward how;
    how.pass_expect = true;
    CHECK(has(
        forwarded("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
                  from, how),
        "Expect: 100-continue\r\n"));
}

TEST_CASE("Connection names away what is hop-by-hop, never what is end-to-end", "[http]") {
    const auto passed = forwarded(
        "PUT / HTTP/1.1\r\nHost: a\r\nConnection: If-Match, Origin, X-Mine\r\nIf-Match: "
        "\"a\"\r\nOrigin: "
        "b\r\nX-Mine: c\r\n\r\n",
        client("192.0.2.1:5"));
    CHECK(has(passed, "If-Match: \"a\"\r\n"));
    CHECK(has(passed, "Origin: b\r\n"));
    CHECK_FALSE(has(passed, "X-Mine"));
}

TEST_CASE("upgrades and trailers are asked for again, by us", "[http]") {
    const auto from = client("192.0.2.1:5");
    CHECK(
        forwarded("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                  from)
            .ends_with("Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"));
    CHECK(forwarded("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\n\r\n", from)
              .ends_with("TE: trailers\r\nConnection: TE\r\n\r\n"));
    CHECK_FALSE(has(forwarded("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n", from), "TE"));
    CHECK_FALSE(
        has(forwarded("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", from), "Upgrade"));
}

TEST_CASE("who the client was is believed only from trusted peers", "[http]") {
    const std::string request =
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: "
        "2.2.2.2\r\nX-Forwarded-Proto: https\r\n"
        "X-Forwarded-Host: outer\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 1.1.1.1\r\nForwarded: "
        "for=1.1.1.1\r\nX_Forwarded_For: 6.6.6.6\r\n\r\n";
    const std::string distrusted = forwarded(request, client("192.0.2.1:5"));
    CHECK_FALSE(has(distrusted, "1.1.1.1"));
    CHECK_FALSE(has(distrusted, "https"));
    CHECK_FALSE(has(distrusted, "outer"));
    CHECK_FALSE(has(distrusted, "X-Forwarded-Port"));
    CHECK(has(distrusted, "X-Forwarded-For: 192.0.2.1\r\n"));

    const std::string trusted = forwarded(request, client("192.0.2.1:5", true));
    CHECK(has(trusted, "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.1\r\n"));
    CHECK(has(trusted, "X-Forwarded-Proto: https\r\n"));
    CHECK_FALSE(has(trusted, "X-Forwarded-Proto: http\r\n"));
    CHECK(has(trusted, "X-Forwarded-Host: outer\r\n"));
    CHECK(has(trusted, "X-Real-IP: 1.1.1.1\r\n"));
    CHECK(has(trusted, "Forwarded: for=1.1.1.1, for=192.0.2.1;host=\"a\";proto=http\r\n"));
    for (const auto& text : {distrusted, trusted}) CHECK_FALSE(has(text, "6.6.6.6"));
}

TEST_CASE("clients are named in every family", "[http]") {
    CHECK(
        has(forwarded("GET / HTTP/1.1\r\nHost: a\r\n\r\n", client("[2001:db8::1]:5", false, true)),
            "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n"
            "Forwarded: for=\"[2001:db8::1]\";host=\"a\";proto=https\r\n"));
    CHECK(client("[::ffff:192.0.2.7]:5").ip() == "192.0.2.7");
    CHECK(client("unix:/tmp/x").ip() == "unknown");
    CHECK(client("[::ffff:192.0.2.7]:5", true).trusted());
    CHECK_FALSE(client("unix:/tmp/x", true).trusted());
}

TEST_CASE("a response is written anew", "[http]") {
    ResponseForward how;
    how.date = "Sun, 06 Nov 1994 08:49:37 GMT";
    CHECK(
        answered("HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nServer: s\r\nSet-Cookie: "
                 "a\r\nSet-Cookie: b\r\n"
                 "Connection: close, X\r\nX: 1\r\nKeep-Alive: 5\r\nUpgrade: h2\r\n\r\n",
                 how) ==
        "HTTP/1.1 200 Fine\r\nServer: s\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n"
        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nVia: 1.1 regrow\r\n\r\n");
    CHECK(has(answered("HTTP/1.1 200 OK\r\nDate: theirs\r\nContent-Length: 2\r\n\r\n", how),
              "Date: theirs\r\n"));
    how.keep_alive = false;
    CHECK(has(answered("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", how),
              "Connection: close\r\n"));
}

TEST_CASE("a response body goes as the client can take it", "[http]") {
    const std::string endless = "HTTP/1.1 200 OK\r\n\r\n",
                      chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    ResponseForward old;
    old.client = Version::http10;
    old.keep_alive = false;
    CHECK(has(answered(endless), "Transfer-Encoding: chunked\r\n"));
    CHECK(has(answered(chunked), "Transfer-Encoding: chunked\r\n"));
    CHECK_FALSE(has(answered(endless, old), "Transfer-Encoding"));
    CHECK_FALSE(has(answered(chunked, old), "Transfer-Encoding"));
    http::ResponseHead head;
    test::parseWhole(chunked, head);
    CHECK(downstreamBody(head, Method::get, Version::http10).kind == http::BodyKind::until_close);
    CHECK(downstreamBody(head, Method::head, Version::http11).kind == http::BodyKind::none);

    ResponseForward of_head;
    of_head.method = Method::head;
    CHECK(has(answered("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", of_head),
              "Content-Length: 9\r\n"));
    CHECK_FALSE(has(answered("HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n"), "Content-Length"));
    CHECK(answered("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n") ==
          "HTTP/1.1 103 Early Hints\r\nLink: x\r\nVia: 1.1 regrow\r\n\r\n");
    CHECK(has(answered("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
              "Upgrade: websocket\r\nConnection: Upgrade\r\n"));
    const std::string required =
        "HTTP/1.1 426 U\r\nConnection: upgrade\r\nUpgrade: a/1, b\r\nContent-Length: 0\r\n\r\n";
    CHECK(has(answered(required), "Upgrade: a/1, b\r\nConnection: Upgrade\r\n"));
    CHECK_FALSE(has(answered(required, old), "Upgrade"));
    old.keep_alive = true;
    CHECK(has(answered("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", old),
              "Connection: keep-alive\r\n"));
}

TEST_CASE("scheme and host are those seen from outside", "[http]") {
    const auto outer = [](const std::string& fields, const ClientIdentity& from) {
        const std::string text = "GET / HTTP/1.1\r\nHost: in:80\r\n" + fields + "\r\n";
        http::RequestHead head;
        REQUIRE(test::parseWhole(text, head).outcome == http::Outcome::done);
        return std::string(outerScheme(head, from)) + "://" + std::string(outerHost(head, from));
    };
    const std::string told = "X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: out:8443\r\n";
    CHECK(outer(told, client("192.0.2.1:5")) == "http://in");
    CHECK(outer(told, client("192.0.2.1:5", true)) == "https://out");
    CHECK(outer("", client("192.0.2.1:5", true, true)) == "https://in");
    CHECK(outer("X-Forwarded-Proto: ftp\r\nX-Forwarded-Host: a/b\r\n",
                client("192.0.2.1:5", true)) == "http://in");
    CHECK(outer(told + told, client("192.0.2.1:5", true)) == "http://in");
}

TEST_CASE("chunks are written as they are read", "[http]") {
    std::array<char, 256> buffer{};
    HeadWriter out(buffer.data(), buffer.size());
    writeChunkHead(out, 255);
    CHECK(out.text() == "ff\r\n");
    HeadWriter longest(buffer.data(), kChunkHeadBytes);
    writeChunkHead(longest, UINT64_MAX);
    CHECK_FALSE(longest.full());
}

TEST_CASE("a full buffer is noticed, and nothing is written past it", "[http]") {
    http::RequestHead head;
    const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    test::parseWhole(request, head);
    for (size_t size = 0; size < 150; ++size) {
        std::string buffer(size, '\0');
        HeadWriter out(buffer.data(), size);
        writeRequestHead(out, head, client("192.0.2.1:5"), {});
        CHECK(out.full());
    }
}

TEST_CASE("writing heads allocates nothing", "[http]") {
    http::RequestHead head;
    const std::string request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: b\r\n\r\n";
    test::parseWhole(request, head);
    const ClientIdentity from = client("192.0.2.1:5", true);
    std::array<char, 4096> buffer{};
    const uint64_t before = test::threadAllocations();
    HeadWriter out(buffer.data(), buffer.size());
    writeRequestHead(out, head, from, {});
    CHECK(test::threadAllocations() == before);
}
