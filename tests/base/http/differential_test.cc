#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/http/body.h"
#include "base/http/parser.h"
#include "base/random.h"
#include "tests/support/http_reference.h"
#include "tests/support/http_text.h"

using namespace regrow;
using namespace regrow::http;
using namespace regrow::test;

namespace {

const std::vector<std::string> kRequests = {
    "GET /a/b?c=d HTTP/1.1\r\nHost: a.example:80\r\nAccept: */*\r\n\r\n",
    "POST http://a:80/x HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n",
    "PUT /a%2fb/..c HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: chunked\r\nTE: "
    "trailers\r\n\r\n",
    "OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    "GET /%2e./x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
};
const std::vector<std::string> kResponses = {
    "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n",
    "HTTP/1.0 304 Not Modified\r\nDate: x\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
};
const std::vector<std::string> kBodies = {
    "5\r\nhello\r\n0\r\n\r\n",
    "1\r\na\r\nA\r\n0123456789\r\n000\r\nX: y\r\nZ:\r\n\r\n",
    "1;a\r\nx\r\n2 ; b = \"c\\\";\" ;d=e\r\nyz\r\n0;f\r\n\r\n",
};

// Small pieces that matter to the grammar, more often than random bytes.
const std::vector<std::string> kPieces = {"\r\n",
                                          "\n",
                                          "\r",
                                          " ",
                                          "\t",
                                          ":",
                                          ",",
                                          ";",
                                          "%",
                                          "%2e",
                                          "%2F",
                                          "%5c",
                                          "%00",
                                          ".",
                                          "..",
                                          "/",
                                          "\\",
                                          "?",
                                          "#",
                                          "@",
                                          "[",
                                          "]",
                                          "0",
                                          "1",
                                          "9",
                                          "f",
                                          "chunked",
                                          "Content-Length: 0\r\n",
                                          "Content-Length: 7\r\n",
                                          "Transfer-Encoding: chunked\r\n",
                                          "Host: a\r\n",
                                          "Connection: close\r\n",
                                          "Upgrade: h2c\r\n",
                                          "Expect: 100-continue\r\n",
                                          "X_Y: z\r\n",
                                          "HTTP/1.0",
                                          "HTTP/1.1",
                                          "\x7f",
                                          "\xc3"};

std::string mutate(Random& random, std::string text) {
    for (uint64_t n = random.below(4); n > 0 && !text.empty(); --n) {
        const size_t at = random.below(text.size() + 1);
        switch (random.below(4)) {
            case 0: text.insert(at, kPieces[random.below(kPieces.size())]); break;
            case 1: text.erase(at, random.below(4) + 1); break;
            case 2: text.replace(at, 1, kPieces[random.below(kPieces.size())]); break;
            default:
                text.insert(at, text.substr(random.below(text.size()), random.below(24)));
                break;
        }
    }
    return text;
}

std::string describe(const reference::Message& m) {
    std::string out = m.method + " " + m.path + " " + m.query + " host=" + m.host +
                      " minor=" + std::to_string(m.minor);
    out += " " + m.framing + (m.keep_alive ? " keep" : " close");
    out += " upgrade=" + m.upgrade + (m.expect ? " expect" : "");
    for (const auto& [name, value] : m.fields) out += "|" + name + "=" + value;
    return out;
}

std::string framingOf(const Body& body) {
    switch (body.kind) {
        case BodyKind::none: return "none";
        case BodyKind::length: return std::to_string(body.length);
        case BodyKind::chunked: return "chunked";
        case BodyKind::until_close: return "close";
        case BodyKind::tunnel: return "tunnel";
    }
    return "";
}

std::string fieldsOf(const FieldList& fields) {
    std::string out;
    for (const auto& f : fields) out += "|" + std::string(f.name()) + "=" + std::string(f.value());
    return out;
}

std::string fieldsOf(const reference::Message& m) {
    std::string out;
    for (const auto& [name, value] : m.fields) out += "|" + name + "=" + value;
    return out;
}

// A connection as each reading takes it apart: the messages that came whole, one line each, and
// what it came to.
struct Taken {
    std::string messages, end;
    friend bool operator==(const Taken&, const Taken&) = default;
};

bool decodeBody(const Body& body, std::string_view& rest, Taken& out) {
    BodyDecoder decoder(body);
    while (true) {
        const BodyStep s = decoder.next(rest);
        rest.remove_prefix(s.consumed);
        out.messages += s.payload;
        if (s.kind == BodyStep::Kind::done) out.messages += "~" + std::string(s.trailers) + "\n";
        if (s.kind == BodyStep::Kind::done) return true;
        if (s.kind == BodyStep::Kind::payload) continue;
        return body.kind == BodyKind::until_close;
    }
}

bool readBody(const std::string& framing, std::string& rest, Taken& out) {
    std::string trailers;
    if (framing == "chunked") {
        const auto body = reference::readChunked(rest);
        if (!body) return false;
        out.messages += body->payload;
        trailers = body->trailers;
        rest.erase(0, body->bytes);
    } else if (framing == "close") {
        out.messages += rest;
        rest.clear();
        return true;
    } else if (framing != "none") {
        const size_t length = std::stoull(framing);
        if (rest.size() < length) return false;
        out.messages += rest.substr(0, length);
        rest.erase(0, length);
    }
    out.messages += "~" + trailers + "\n";
    return true;
}

// What was received of a body that never ends is no message: both forget it.
template <class Read>
Taken takeApart(Read read) {
    Taken out;
    while (true) {
        const std::string whole = out.messages;
        if (!read(out)) return out.messages = whole, out;
        if (!out.end.empty()) return out;
    }
}

Taken requestsAsParsed(std::string_view rest) {
    return takeApart([&](Taken& out) {
        RequestHead head;
        const ParseResult r = parseWhole(rest, head);
        if (r.outcome != Outcome::done) return false;
        out.messages += test::describe(head) + ":";
        rest.remove_prefix(r.bytes);
        return decodeBody(head.body, rest, out);
    });
}

Taken requestsAsRead(std::string rest) {
    return takeApart([&](Taken& out) {
        const auto m = reference::readRequest(rest);
        if (!m) return false;
        out.messages += describe(*m) + ":";
        rest.erase(0, m->bytes);
        return readBody(m->framing, rest, out);
    });
}

// Answers to GETs, one after the other.
Taken responsesAsParsed(std::string_view rest) {
    return takeApart([&](Taken& out) {
        ResponseHead head;
        const ParseResult r = parseWhole(rest, head);
        if (r.outcome != Outcome::done) return false;
        const Body body = head.bodyFor(Method::get);
        out.messages += std::to_string(head.status) + framingOf(body) + fieldsOf(head.fields) + ":";
        rest.remove_prefix(r.bytes);
        if (body.kind == BodyKind::tunnel) return out.end = "tunnel", true;
        if (body.kind == BodyKind::until_close) out.end = "close";
        return decodeBody(body, rest, out);
    });
}

Taken responsesAsRead(std::string rest) {
    return takeApart([&](Taken& out) {
        const auto m = reference::readResponse(rest, "GET");
        if (!m) return false;
        const std::string framing = m->framing == "0" ? "none" : m->framing;
        out.messages += std::to_string(m->status) + framing + fieldsOf(*m) + ":";
        rest.erase(0, m->bytes);
        if (framing == "tunnel") return out.end = "tunnel", true;
        if (framing == "close") out.end = "close";
        return readBody(framing, rest, out);
    });
}

constexpr int kRounds = 40'000;

}  // namespace

TEST_CASE("two readings of RFC 9112 agree on mutated requests", "[http]") {
    Random random(1);
    int accepted = 0;
    for (int i = 0; i < kRounds; ++i) {
        const std::string text = mutate(random, kRequests[random.below(kRequests.size())]);
        RequestHead head;
        const ParseResult r = parseWhole(text, head);
        const auto expected = reference::readRequest(text);
        INFO(text << "\n" << textOf(r.flaw));
        REQUIRE((r.outcome == Outcome::done) == expected.has_value());
        if (!expected) continue;
        ++accepted;
        REQUIRE(test::describe(head) == describe(*expected));
        REQUIRE(r.bytes == expected->bytes);
    }
    CHECK(accepted > kRounds / 10);
    CHECK(accepted < kRounds * 9 / 10);
}

TEST_CASE("two readings of RFC 9112 agree on mutated responses", "[http]") {
    Random random(2);
    int accepted = 0;
    for (int i = 0; i < kRounds / 2; ++i) {
        const std::string text = mutate(random, kResponses[random.below(kResponses.size())]);
        const bool asked_head = random.below(4) == 0;
        ResponseHead head;
        const ParseResult r = parseWhole(text, head);
        const auto expected = reference::readResponse(text, asked_head ? "HEAD" : "GET");
        INFO(text << "\n" << textOf(r.flaw));
        REQUIRE((r.outcome == Outcome::done) == expected.has_value());
        if (!expected) continue;
        ++accepted;
        REQUIRE(head.status == expected->status);
        REQUIRE(head.upgrade == expected->upgrade);
        REQUIRE(fieldsOf(head.fields) == fieldsOf(*expected));
        REQUIRE(head.keep_alive == expected->keep_alive);
        const std::string framing =
            framingOf(head.bodyFor(asked_head ? Method::head : Method::get));
        REQUIRE(framing == (expected->framing == "0" ? "none" : expected->framing));
        REQUIRE(r.bytes == expected->bytes);
    }
    CHECK(accepted > kRounds / 20);
}

TEST_CASE("two readings of RFC 9112 agree on mutated chunked bodies", "[http]") {
    Random random(3);
    int accepted = 0;
    for (int i = 0; i < kRounds; ++i) {
        const std::string text = mutate(random, kBodies[random.below(kBodies.size())]);
        BodyDecoder decoder(Body{BodyKind::chunked, 0});
        std::string payload;
        std::string_view rest = text;
        BodyStep s = decoder.next(rest);
        for (; s.kind == BodyStep::Kind::payload; s = decoder.next(rest)) {
            payload += s.payload;
            rest.remove_prefix(s.consumed);
        }
        const auto expected = reference::readChunked(text);
        INFO(text << "\n" << textOf(s.flaw));
        REQUIRE((s.kind == BodyStep::Kind::done) == expected.has_value());
        if (!expected) continue;
        ++accepted;
        REQUIRE(payload == expected->payload);
        REQUIRE(s.trailers == expected->trailers);
        REQUIRE(text.size() - rest.size() + s.consumed == expected->bytes);
    }
    CHECK(accepted > kRounds / 20);
}

// Where the next message begins is what smuggling is about: a connection with several on it is
// taken apart alike.
TEST_CASE("two readings of RFC 9112 agree on where each message of a connection ends", "[http]") {
    const std::vector<std::string> requests = {
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        "POST /d HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\n\r\n"
        "GET /e HTTP/1.1\r\nHost: a\r\nX: 12345\r\n\r\n"};
    const std::vector<std::string> responses = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n"};
    Random random(4);
    int several = 0;
    for (int i = 0; i < kRounds; ++i) {
        const bool asks = random.below(2) == 0;
        const auto& of = asks ? requests : responses;
        std::string text;
        for (uint64_t n = 1 + random.below(4); n > 0; --n) text += of[random.below(of.size())];
        text = mutate(random, std::move(text));
        const Taken parsed = asks ? requestsAsParsed(text) : responsesAsParsed(text);
        INFO(text);
        REQUIRE(parsed == (asks ? requestsAsRead(text) : responsesAsRead(text)));
        several += std::ranges::count(parsed.messages, '~') > 1 ? 1 : 0;
    }
    CHECK(several > kRounds / 5);
}
