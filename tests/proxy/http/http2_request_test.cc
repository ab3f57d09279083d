#include "proxy/http/http2_request.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/http_text.h"

using namespace regrow;
using namespace regrow::http;
using regrow::proxy::Http2Request;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kKey = "AQIDBAUGBwgJCgsMDQ4PEA==";

// One block, its memory of exactly `room` bytes so that the sanitizer sees a byte too many.
struct Block {
    std::string memory;
    RequestHead head;
    Http2Request request;
    Flaw flaw = Flaw::none;

    explicit Block(const Fields& fields, bool ended = true, size_t room = 48 * 1024)
        : memory(room, '?') {
        request.begin(memory.data(), memory.size(), head);
        for (const auto& [name, value] : fields)
            request.add(std::string(name), std::string(value));  // gone when it returns
        flaw = request.finish(ended, request.extendedConnect() ? kKey : std::string_view());
    }
    std::string value(std::string_view name) const {
        const Field* field = head.fields.find(name);
        return field ? std::string(field->value()) : "(none)";
    }
};

Fields get(const std::string& path, const Fields& more = {}, const std::string& method = "GET",
           const std::string& authority = "a.test") {
    Fields fields = {
        {":method", method}, {":scheme", "http"}, {":path", path}, {":authority", authority}};
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
}

Fields websocket(const Fields& more = {}) {
    Fields fields = get("/chat?x", {{":protocol", "websocket"}}, "CONNECT");
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
}

Flaw flawOf(const Fields& fields, bool ended = true) {
    return Block(fields, ended).flaw;
}

// What both versions can say, without the name of the version and the Host field, which is
// :authority in the one and a field in the other.
std::string meaning(const RequestHead& h) {
    std::string out = std::string(h.method_text) + " " + std::string(h.path) + " " +
                      std::string(h.query) + " " + std::string(h.authority) + " " +
                      std::string(h.host) + " " + std::to_string(h.port) + " " +
                      std::to_string(static_cast<int>(h.form)) + " " +
                      std::to_string(static_cast<int>(h.body.kind)) + " " +
                      std::to_string(h.body.length) + (h.has_content_length ? " length" : "") +
                      (h.keep_alive ? " keep" : "") + (h.expect_continue ? " expect" : "") +
                      (h.te_trailers ? " trailers" : "") + " upgrade=" + std::string(h.upgrade);
    for (const Field& f : h.fields)
        if (f.id != FieldId::host && f.id != FieldId::connection)
            out += "|" + std::string(f.name()) + "=" + std::string(f.value()) +
                   (f.drop ? " dropped" : "");
    return out;
}

}  // namespace

TEST_CASE("an HTTP/2 head is kept in memory of ours", "[http2]") {
    const Block b(get("/a/b%2Fc?x=1", {{"x-one", "1"}, {"x-empty", ""}}, "PUT", "Wiki.test:8080"));
    REQUIRE(b.flaw == Flaw::none);
    CHECK(b.head.version == Version::http2);
    CHECK(b.head.method == Method::put);
    CHECK(b.head.path == "/a/b%2Fc");
    CHECK(b.head.query == "?x=1");
    CHECK(b.head.authority == "Wiki.test:8080");
    CHECK(b.head.host == "Wiki.test");
    CHECK(b.head.port == 8080);
    CHECK(b.head.keep_alive);
    CHECK(b.value("x-one") == "1");
    CHECK(b.value("x-empty").empty());
    CHECK(b.head.body.kind == BodyKind::none);
}

TEST_CASE("cookies cut into pieces are one field", "[http2]") {
    CHECK(Block(get("/")).value("cookie") == "(none)");
    CHECK(Block(get("/", {{"cookie", "a=1"}})).value("cookie") == "a=1");
    const Block b(get("/", {{"cookie", "a=1"}, {"x", "y"}, {"cookie", "b=2"}, {"cookie", ""}}));
    CHECK(b.value("cookie") == "a=1; b=2; ");
    CHECK(b.head.fields.size() == 2);
    Fields many(64, {"cookie", "c=1"});
    CHECK(flawOf(get("/", many)) == Flaw::none);
    many.emplace_back("cookie", "c=1");
    CHECK(flawOf(get("/", many)) == Flaw::too_many_fields);
}

TEST_CASE("an HTTP/2 body has a length, or none is told", "[http2]") {
    const Block counted(get("/", {{"content-length", "12"}}, "POST"), false);
    CHECK(counted.head.body == Body{BodyKind::length, 12});
    const Block open(get("/", {}, "POST"), false);
    CHECK(open.head.body.kind == BodyKind::chunked);
    const Block zero(get("/", {{"content-length", "0"}}, "POST"), false);
    CHECK(zero.head.body.kind == BodyKind::none);
    CHECK(zero.head.has_content_length);
    CHECK(flawOf(get("/", {{"content-length", "12"}}, "POST"), true) == Flaw::bad_content_length);
    CHECK(flawOf(get("/", {{"content-length", "0"}}, "POST"), true) == Flaw::none);
    CHECK(flawOf(get("/", {{"content-length", "1"}, {"content-length", "1"}}), false) ==
          Flaw::duplicate_content_length);
    CHECK(flawOf(get("/", {{"content-length", "+1"}}), false) == Flaw::bad_content_length);
    CHECK(Block(get("/", {{"expect", "100-continue"}}, "POST"), false).head.expect_continue);
    CHECK_FALSE(Block(get("/", {{"expect", "100-continue"}}, "POST"), true).head.expect_continue);
    CHECK(flawOf(get("/", {{"expect", "a pony"}})) == Flaw::bad_expect);
}

TEST_CASE("HTTP/2 targets, methods and hosts are read as strictly as HTTP/1's", "[http2]") {
    for (const char* path : {"", "x", "http://a.test/", "/a b", "/a#b", "/%zz", "/%00", "/../x"}) {
        INFO(path);
        CHECK(flawOf(get(path)) != Flaw::none);
    }
    CHECK(flawOf(get("*")) != Flaw::none);
    CHECK(flawOf(get("*", {}, "OPTIONS")) == Flaw::none);
    CHECK(flawOf(get("/", {}, "G T")) == Flaw::bad_method);
    CHECK(flawOf(get("/", {}, "")) == Flaw::bad_method);
    CHECK(flawOf(get("/", {}, std::string(100, 'M'))) == Flaw::method_too_long);
    CHECK(flawOf(get("/" + std::string(20'000, 'x'))) == Flaw::target_too_long);
    for (const char* host : {"u@a.test", "a.test:x", "a.test:99999", "a b", "a/b", "[::1"}) {
        INFO(host);
        CHECK(flawOf(get("/", {}, "GET", host)) == Flaw::bad_host);
    }
    CHECK(flawOf(get("/", {}, "GET", "")) == Flaw::missing_host);
    CHECK(flawOf(get("/", {{"host", "b.test"}})) == Flaw::host_mismatch);
    CHECK(flawOf(get("/", {{"host", "A.TEST"}})) == Flaw::none);
    CHECK(flawOf(get("/", {{"host", "a.test"}, {"host", "a.test"}})) == Flaw::duplicate_host);
    const Block by_host({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {"host", "b:1"}});
    CHECK(by_host.flaw == Flaw::none);
    CHECK(by_host.head.host == "b");
    const Block connect({{":method", "CONNECT"}, {":authority", "a.test:443"}});
    CHECK(connect.flaw == Flaw::none);
    CHECK(connect.head.form == TargetForm::authority);
}

TEST_CASE("a WebSocket by extended CONNECT is an upgrade", "[http2]") {
    const Block b(websocket({{"sec-websocket-version", "13"}}), false);
    REQUIRE(b.flaw == Flaw::none);
    CHECK(b.request.extendedConnect());
    CHECK(b.head.method == Method::get);
    CHECK(b.head.method_text == "GET");
    CHECK(b.head.path == "/chat");
    CHECK(b.head.query == "?x");
    CHECK(b.head.upgrade == "websocket");
    CHECK(b.head.body.kind == BodyKind::none);
    CHECK(b.value("sec-websocket-key") == kKey);
    const Block own(websocket({{"sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="}}), false);
    CHECK(own.value("sec-websocket-key") == kKey);
    CHECK(own.head.fields.size() == 1);
    CHECK(flawOf(websocket({{"content-length", "5"}}), false) == Flaw::bad_content_length);
    CHECK(Block(get("/", {{"sec-websocket-key", "x"}})).value("sec-websocket-key") == "x");
}

TEST_CASE("an HTTP/2 head has limits", "[http2]") {
    const Fields large = get("/", {{"x-one", std::string(1000, 'y')}});
    size_t bytes = 0;
    for (const auto& [name, value] : large)
        bytes += name == ":scheme" ? 0 : (name[0] == ':' ? 0 : name.size()) + value.size();
    CHECK(Block(large, true, bytes).flaw == Flaw::none);
    CHECK(Block(large, true, bytes - 1).flaw == Flaw::head_too_large);
    for (size_t room = 0; room < bytes; room += 7)
        CHECK(Block(large, true, room).flaw != Flaw::none);
    const Fields cookies = get("/", {{"cookie", "abc"}, {"cookie", "def"}});
    for (size_t room = 0; room < 40; ++room) Block(cookies, true, room);
    for (size_t room = 0; room < 80; ++room) Block(websocket(), false, room);
    Fields many;
    for (int i = 0; i < 2000; ++i) many.emplace_back("x", "");
    CHECK(flawOf(get("/", many)) == Flaw::too_many_fields);
    CHECK(flawOf(get("/", {{std::string(300, 'x'), ""}})) == Flaw::field_too_large);
}

TEST_CASE("the first flaw is told, and a block after it starts anew", "[http2]") {
    std::string memory(1000, '?');
    RequestHead head;
    Http2Request request;
    request.begin(memory.data(), memory.size(), head);
    request.add(":method", "GET");
    request.add("x", std::string(2000, 'y'));
    request.add(":path", "no path");
    CHECK(request.finish(true, {}) == Flaw::head_too_large);
    request.begin(memory.data(), memory.size(), head);
    for (const auto& [name, value] : get("/")) request.add(name, value);
    CHECK(request.finish(true, {}) == Flaw::none);
    CHECK_FALSE(request.extendedConnect());
    CHECK(head.fields.size() == 0);
}

TEST_CASE("the same request in HTTP/2 and in HTTP/1.1 is read alike", "[http2]") {
    const std::vector<std::string> paths = {
        "/", "/a/b?c=d", "/%41?",           "//x", "/a/../b", "/%2e%2e/x",
        "*", "x",        "/?a=[1]|{2}^`\\", "/%2", "/a\"b",   "/a;b=c/d"};
    const std::vector<std::string> hosts = {"a.test", "A.test:80", "[::1]:8080", "a_b", "1.2.3.4",
                                            "a:",     "a:0",       "a..b",       "-"};
    const std::vector<Fields> more = {{},
                                      {{"x-one", "1"}, {"x-one", "2"}},
                                      {{"content-length", "5"}},
                                      {{"content-length", "05"}},
                                      {{"content-length", "9223372036854775808"}},
                                      {{"content-length", "5"}, {"expect", "100-continue"}},
                                      {{"expect", "200-ok"}},
                                      {{"x_forwarded_for", "1"}, {"proxy", "x"}},
                                      {{"te", "trailers"}, {"cookie", "a=1"}}};
    int accepted = 0, refused = 0;
    for (const char* method : {"GET", "POST", "OPTIONS", "PROPFIND", "get"})
        for (const std::string& path : paths)
            for (const std::string& host : hosts)
                for (const Fields& fields : more) {
                    std::string text =
                        std::string(method) + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n";
                    bool body = false;
                    for (const auto& [name, value] : fields) {
                        if (name == "te") text += "connection: te\r\n";
                        text += name + ": " + value + "\r\n";
                        body |= name == "content-length";
                    }
                    text += "\r\n";
                    RequestHead plain;
                    const ParseResult read = test::parseWhole(text, plain);
                    const Block b(get(path, fields, method, host), !body);
                    INFO(text << " HTTP/1: " << textOf(read.flaw) << " HTTP/2: " << textOf(b.flaw));
                    REQUIRE((read.outcome == Outcome::done) == (b.flaw == Flaw::none));
                    ++(b.flaw == Flaw::none ? accepted : refused);
                    if (b.flaw == Flaw::none) REQUIRE(meaning(plain) == meaning(b.head));
                }
    CHECK(accepted > 500);
    CHECK(refused > 500);
}
