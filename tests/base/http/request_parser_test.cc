#include <catch2/catch.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "base/http/parser.h"
#include "tests/support/http_text.h"

using namespace regrow::http;
using namespace regrow::test;
using namespace std::string_literals;

namespace {

RequestHead parsed(const std::string& text) {
    RequestHead head;
    const ParseResult r = parseWhole(text, head);
    INFO(text << textOf(r.flaw));
    REQUIRE(r.outcome == Outcome::done);
    REQUIRE(r.bytes == text.size());
    return head;
}

Flaw flawOf(const std::string& text) {
    RequestHead head;
    const ParseResult r = parseWhole(text, head);
    return r.outcome == Outcome::error ? r.flaw : Flaw::none;
}

std::string get(const std::string& target, const std::string& fields = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

const std::vector<std::string> kGood = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /p?q=1&r=%20 HTTP/1.1\r\nHost: a.example:8080\r\nContent-Length: 12\r\n\r\n",
    "PUT /caldav/user%40x/a%2Fb.ics HTTP/1.1\r\nhost:\t[::1]:80 \r\nTRANSFER-ENCODING: "
    "Chunked\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    "GET http://A.example/x?y HTTP/1.1\r\nHost: a.EXAMPLE:80\r\n\r\n",
    "GET https://a HTTP/1.1\r\nHost: a:443\r\n\r\n",
    "PROPFIND /x HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Utf8: caf\xc3\xa9\r\n\r\n",
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: "
    "websocket\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\nConnection: "
    "close\r\n\r\n",
    "GET /?a=[1]|{2}^`\\ HTTP/1.1\r\nHost: a\r\nTE: trailers, deflate\r\nConnection: TE\r\n\r\n",
};

}  // namespace

TEST_CASE("a request head is read into views", "[http]") {
    const std::string text =
        "PUT /a/b%2Fc?x=1 HTTP/1.1\r\nHost: Wiki.example:8080\r\nX-One:  1 \r\nContent-Length: "
        "42\r\n\r\n";
    const RequestHead h = parsed(text);
    CHECK(h.method == Method::put);
    CHECK(h.method_text == "PUT");
    CHECK(h.target == "/a/b%2Fc?x=1");
    CHECK(h.path == "/a/b%2Fc");
    CHECK(h.query == "?x=1");
    CHECK(h.authority == "Wiki.example:8080");
    CHECK(h.host == "Wiki.example");
    CHECK(h.port == 8080);
    CHECK(h.body == Body{BodyKind::length, 42});
    CHECK(h.keep_alive);
    CHECK(h.fields.find("x-one")->value() == "1");
    CHECK(h.fields.find(FieldId::content_length)->value() == "42");
}

TEST_CASE("every way to split a head gives the same reading", "[http]") {
    for (const std::string& text : kGood) {
        INFO(text);
        const std::string whole = describe(parsed(text));
        for (size_t cut = 0; cut <= text.size(); ++cut) {
            RequestHead head;
            std::string storage;
            const auto r =
                parseInPieces(text, std::vector<size_t>{cut, text.size()}, head, storage);
            REQUIRE(r.outcome == Outcome::done);
            REQUIRE(r.bytes == text.size());
            REQUIRE(describe(head) == whole);
        }
        std::vector<size_t> bytewise(text.size());
        std::iota(bytewise.begin(), bytewise.end(), 1);
        RequestHead head;
        std::string storage;
        REQUIRE(parseInPieces(text, bytewise, head, storage).outcome == Outcome::done);
        REQUIRE(describe(head) == whole);
    }
}

TEST_CASE("a head ends where it ends, whatever follows", "[http]") {
    for (const std::string& text : kGood) {
        RequestHead head;
        const ParseResult r = parseWhole(text + "GET /next\n\0"s, head);
        INFO(text);
        CHECK(r.outcome == Outcome::done);
        CHECK(r.bytes == text.size());
    }
}

TEST_CASE("what two readers could take differently is refused", "[http]") {
    struct Bad {
        std::string text;
        Flaw flaw;
    };
    const auto [text, flaw] = GENERATE(values<Bad>({
        {"GET / HTTP/1.1\nHost: a\n\n", Flaw::bare_lf},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", Flaw::bare_lf},
        {"GET / HTTP/1.1\rHost: a\r\n\r\n", Flaw::bare_cr},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", Flaw::bare_cr},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n"s, Flaw::control_byte},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n", Flaw::control_byte},
        {"\x16\x03\x01", Flaw::control_byte},
        {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Flaw::bad_method},
        {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", Flaw::bad_method},
        {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", Flaw::bad_method},
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Flaw::bad_version},
        {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", Flaw::bad_method},
        {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Flaw::bad_version},
        {"GET /\r\n", Flaw::bad_version},
        {"GET / http/1.1\r\nHost: a\r\n\r\n", Flaw::bad_version},
        {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", Flaw::bad_version},
        {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Flaw::unsupported_version},
        {"PRI * HTTP/2.0\r\n\r\n", Flaw::unsupported_version},
        {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", Flaw::bad_target},
        {"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", Flaw::bad_target},
        {"GET / HTTP/1.1\r\n\r\n", Flaw::missing_host},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Flaw::duplicate_host},
        {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Flaw::bad_host},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", Flaw::bad_host},
        {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Flaw::bad_host},
        {"GET / HTTP/1.1\r\nHost: a:\r\n\r\n", Flaw::bad_host},
        {"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", Flaw::bad_host},
        {"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n", Flaw::bad_host},
        {"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", Flaw::host_mismatch},
        {"GET http://a:8080/ HTTP/1.1\r\nHost: a\r\n\r\n", Flaw::host_mismatch},
        {"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", Flaw::bad_host},
        {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Flaw::bad_target},
        {get("/", " X: b\r\n"), Flaw::obs_fold},
        {get("/", "X: b\r\n\tc\r\n"), Flaw::obs_fold},
        {get("/", "X : b\r\n"), Flaw::space_before_colon},
        {get("/", "X b\r\n"), Flaw::bad_field_name},
        {get("/", "X\r\n"), Flaw::missing_colon},
        {get("/", ": b\r\n"), Flaw::bad_field_name},
        {get("/", "X\xc3: b\r\n"), Flaw::bad_field_name},
        {get("/", std::string(257, 'x') + ": b\r\n"), Flaw::field_too_large},
        {get("/", "Content-Length: 1\r\nContent-Length: 1\r\n"), Flaw::duplicate_content_length},
        {get("/", "Content-Length: 1, 1\r\n"), Flaw::bad_content_length},
        {get("/", "Content-Length:\r\n"), Flaw::bad_content_length},
        {get("/", "Content-Length: +1\r\n"), Flaw::bad_content_length},
        {get("/", "Content-Length: -1\r\n"), Flaw::bad_content_length},
        {get("/", "Content-Length: 0x1\r\n"), Flaw::bad_content_length},
        {get("/", "Content-Length: 010\r\n"), Flaw::bad_content_length},
        {get("/", "Content-Length: 1 2\r\n"), Flaw::bad_content_length},
        {get("/", "Content-Length: 9223372036854775808\r\n"), Flaw::bad_content_length},
        {get("/", "Content-Length: 99999999999999999999\r\n"), Flaw::bad_content_length},
        {get("/", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
         Flaw::length_and_encoding},
        {get("/", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
         Flaw::length_and_encoding},
        {get("/", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
         Flaw::bad_transfer_encoding},
        {get("/", "Transfer-Encoding: gzip, chunked\r\n"), Flaw::bad_transfer_encoding},
        {get("/", "Transfer-Encoding: chunked,\r\n"), Flaw::bad_transfer_encoding},
        {get("/", "Transfer-Encoding: identity\r\n"), Flaw::bad_transfer_encoding},
        {get("/", "Transfer-Encoding: \"chunked\"\r\n"), Flaw::bad_transfer_encoding},
        {get("/", "Transfer-Encoding: xchunked\r\n"), Flaw::bad_transfer_encoding},
        {get("/", "Transfer-Encoding:\r\n"), Flaw::bad_transfer_encoding},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Flaw::encoding_on_http10},
        {get("/", "Connection: a b\r\n"), Flaw::bad_connection},
        {get("/", "Connection: " + std::string(33, ',') + "\r\n"), Flaw::bad_connection},
        {get("/", "Upgrade: a b\r\n"), Flaw::bad_upgrade},
        {get("/", "Expect: 200-ok\r\n"), Flaw::bad_expect},
    }));
    INFO(text);
    CHECK(textOf(flawOf(text)) == textOf(flaw));
    CHECK(statusOf(flaw) >= 400);
}

TEST_CASE("targets and paths", "[http]") {
    for (const char* bad : {"/a#b", "/a\"b", "/a<b", "x", "/\xc3\xa9", "/?\xc3\xa9", "/a?b#c",
                            "http:///x", "http://a#"}) {
        INFO(bad);
        CHECK(flawOf(get(bad)) != Flaw::none);
    }
    for (const char* bad :
         {"/..",   "/.",    "/../",      "/a/../b",   "/a/./b",      "/a/..",     "/%2e%2e/",
          "/.%2E", "/%2e",  "/a/..;x/b", "/a/..%3Bx", "/a%2f..%2fb", "/a/..%5cb", "/a%5C../b",
          "/a\\b", "/a%00", "/a%",       "/a%2",      "/a%zz",       "/a/.;",     "//../"}) {
        INFO(bad);
        CHECK(textOf(flawOf(get(bad))) == textOf(Flaw::bad_path));
    }
    for (const char* good : {"/...", "/.well-known/x", "/a..b", "/..a", "/a/.hidden", "/a.",
                             "/a%2Fb", "/a%5Cb", "//", "/a//b", "/%61", "/;..", "/a;..",
                             "/%252e%252e/", "/?..", "/?a/../b", "/?100%", "/?q=\\", "/a|b"}) {
        INFO(good);
        CHECK(flawOf(get(good)) == Flaw::none);
    }
    const std::string no_path = "GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n";  // outlives the views
    CHECK(parsed(no_path).path == "/");
    CHECK(parsed(no_path).query == "?q");
}

TEST_CASE("persistence, upgrade, expectation and trailers are decided while parsing", "[http]") {
    CHECK(parsed("GET / HTTP/1.1\r\nHost: a\r\n\r\n").keep_alive);
    CHECK_FALSE(parsed("GET / HTTP/1.0\r\n\r\n").keep_alive);
    CHECK(parsed("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
    CHECK_FALSE(parsed(get("/", "Connection: keep-alive\r\nConnection: x, CLOSE\r\n")).keep_alive);

    const std::string websocket = get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    CHECK(parsed(websocket).upgrade == "websocket");
    CHECK(parsed(get("/", "Upgrade: websocket\r\n")).upgrade.empty());
    CHECK(parsed(get("/", "Connection: Upgrade\r\nUpgrade: h2c\r\n")).upgrade.empty());
    CHECK(parsed(get("/", "Connection: Upgrade\r\nUpgrade: a, h2c\r\n")).upgrade.empty());
    CHECK(parsed(get("/", "Connection: Upgrade\r\nUpgrade: a\r\nContent-Length: 1\r\n"))
              .upgrade.empty());

    CHECK(parsed(get("/", "Expect: 100-continue\r\nContent-Length: 1\r\n")).expect_continue);
    CHECK_FALSE(parsed(get("/", "Expect: 100-continue\r\n")).expect_continue);
    CHECK(parsed(get("/", "TE: trailers\r\nConnection: te\r\n")).te_trailers);
    CHECK_FALSE(parsed(get("/", "TE: trailers\r\n")).te_trailers);
    CHECK(parsed(get("/", "Content-Length: 0\r\n")).has_content_length);
    CHECK(parsed(get("/", "Content-Length: 0\r\n")).body == Body{});
}

TEST_CASE("Connection takes away what it names, but nothing that is not its own", "[http]") {
    const std::string text =
        get("/",
            "X-Mine: 1\r\nCookie: c\r\nX-Forwarded-For: f\r\n"
            "Connection: x-mine, cookie, host, content-length, x-forwarded-for\r\n"
            "Content-Length: 3\r\nX_Forwarded_For: evil\r\nContent_Length: 9\r\nX_Mine: 2\r\n");
    const RequestHead h = parsed(text);
    CHECK(h.fields.find("x-mine")->drop);
    CHECK_FALSE(h.fields.find("cookie")->drop);
    CHECK_FALSE(h.fields.find("host")->drop);
    CHECK_FALSE(h.fields.find("x-forwarded-for")->drop);
    CHECK(h.body.length == 3);
    CHECK(h.fields.find("X_Forwarded_For")->drop);
    CHECK(h.fields.find("Content_Length")->drop);
    CHECK_FALSE(h.fields.find("X_Mine")->drop);
    CHECK(h.fields.find("connection")->drop);
}

TEST_CASE("limits are refused with the status that says so", "[http]") {
    RequestHead head;
    CHECK(statusOf(parseWhole(get("/" + std::string(20000, 'a')), head).flaw) == 414);
    CHECK(parseWhole(std::string(40, 'G') + " / HTTP/1.1\r\n", head).flaw == Flaw::method_too_long);
    CHECK(parseWhole("GET /" + std::string(20'000, 'a'), head).flaw == Flaw::target_too_long);
    CHECK(parseWhole("\r\nGET /" + std::string(100'000, 'a'), head).flaw == Flaw::target_too_long);
    CHECK(parseWhole(std::string(20'000, 'G'), head).flaw == Flaw::method_too_long);

    std::string many;
    for (int i = 0; i < 128; ++i) many += "X: 1\r\n";
    CHECK(statusOf(parseWhole(get("/", many), head).flaw) == 431);
    CHECK(parseWhole(get("/", many.substr(6)), head).outcome == Outcome::done);

    const std::string unending = "GET / HTTP/1.1\r\nX: " + std::string(70000, 'x');
    CHECK(parseWhole(unending, head).flaw == Flaw::head_too_large);
    const std::string text = get("/", "X: 1\r\n");
    CHECK(parseWhole(text, head, {.head_bytes = static_cast<uint32_t>(text.size())}).outcome ==
          Outcome::done);
    CHECK(parseWhole(text, head, {.head_bytes = static_cast<uint32_t>(text.size() - 1)}).outcome ==
          Outcome::error);
}

TEST_CASE("a parsed head moves with its bytes", "[http]") {
    std::string text = get("/a?b", "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    RequestHead head = parsed(text);
    const std::string before = describe(head);
    const std::string elsewhere = "....." + text;
    head.rebase(text.data(), elsewhere.data() + 5);
    text.assign(text.size(), 'x');
    CHECK(describe(head) == before);
}

TEST_CASE("a parser is idle until something came, and again after reset", "[http]") {
    RequestParser parser;
    RequestHead head;
    CHECK(parser.idle());
    CHECK(parser.parse("GE", head).outcome == Outcome::need_more);
    CHECK_FALSE(parser.idle());
    parser.reset();
    CHECK(parser.idle());
}

TEST_CASE("methods", "[http]") {
    CHECK(methodOf("get") == Method::other);
    CHECK(isIdempotent(methodOf("PUT")));
    CHECK(isIdempotent(methodOf("DELETE")));
    CHECK_FALSE(isIdempotent(methodOf("POST")));
    CHECK_FALSE(isIdempotent(methodOf("PATCH")));
    CHECK_FALSE(isIdempotent(methodOf("MKCALENDAR")));
    CHECK(isSafe(methodOf("HEAD")));
    CHECK_FALSE(isSafe(methodOf("PUT")));
}
