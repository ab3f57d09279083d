#include "health/http2_checker.h"

#include <catch2/catch.hpp>
#include <optional>

#include "tests/health/server.h"

using namespace regrow;
using namespace regrow::health;
using namespace regrow::health::test;
using namespace std::chrono_literals;
using Manner = Server::Manner;

namespace {

enum : uint8_t { kData, kHeaders, kPriority, kReset, kSettings, kPush, kPing, kGoaway };
constexpr uint8_t kEndStream = 1, kEndHeaders = 4;

std::string frame(uint8_t type, uint8_t flags, uint8_t stream, std::string_view payload = {}) {
    const char head[9] = {0,
                          static_cast<char>(payload.size() >> 8U),
                          static_cast<char>(payload.size()),
                          static_cast<char>(type),
                          static_cast<char>(flags),
                          0,
                          0,
                          0,
                          static_cast<char>(stream)};
    return std::string(head, sizeof head).append(payload);
}

std::string code(uint8_t error) {
    return {0, 0, 0, static_cast<char>(error)};
}

const std::string kHello = frame(kSettings, 0, 0);
// Of HPACK's static table: 8 is ":status: 200", 14 is 500; 0x08 0x03 spells another one out.
std::string answer(std::string_view block = "\x88", uint8_t flags = kEndStream | kEndHeaders) {
    return kHello + frame(kHeaders, flags, 1, block);
}

conf::Check httpCheck(Duration timeout = 5s) {
    conf::Check check;
    check.kind = conf::CheckKind::http;
    check.http_path = "/healthz";
    check.timeout = timeout;
    return check;
}

struct Asked {
    Outcome outcome;
    std::string text;
};

// What a check says of a server that says that.
Asked ask(Manner manner, const std::string& said, const conf::Check& check = httpCheck()) {
    EventLoop loop;
    Server server(loop, manner, said);
    std::optional<CheckResult> result;
    const auto checker = makeChecker(loop, server.address(), check, {.http2 = true});
    checker->start([&](CheckResult r) { result = std::move(r); });
    REQUIRE_FALSE(result.has_value());  // never from within start()
    REQUIRE(runUntil(loop, [&] { return result.has_value(); }));
    return {result->outcome, result->text};
}

void expect(const Asked& asked, Outcome outcome, const std::string& text) {
    CHECK(name(asked.outcome) == name(outcome));
    CHECK(asked.text == text);
}

}  // namespace

TEST_CASE("over HTTP/2 the status decides, as soon as it is there") {
    expect(ask(Manner::reply, answer()), Outcome::pass, "HTTP 200");
    expect(ask(Manner::reply, answer("\x88", kEndHeaders)), Outcome::pass, "HTTP 200");  // a body
    expect(ask(Manner::reply, answer("\x8e")), Outcome::bad_answer, "HTTP 500, expected 200-399");
    expect(ask(Manner::reply, answer(std::string_view("\x08\x03"
                                                      "103",
                                                      5),
                                     kEndHeaders) +
                                  frame(kHeaders, kEndStream | kEndHeaders, 1, "\x88")),
           Outcome::pass, "HTTP 200");
    auto exact = httpCheck();
    exact.expect_low = exact.expect_high = 500;
    expect(ask(Manner::reply, answer("\x8e"), exact), Outcome::pass, "HTTP 500");
}

TEST_CASE("an HTTP/2 answer may come byte by byte, and in many frames") {
    expect(ask(Manner::drip, answer()), Outcome::pass, "HTTP 200");
    const std::string pings = frame(kPing, 0, 0, "12345678") + frame(kSettings, 1, 0);
    expect(
        ask(Manner::reply, kHello + pings + frame(kHeaders, kEndHeaders | kEndStream, 1, "\x88")),
        Outcome::pass, "HTTP 200");
}

TEST_CASE("what is no HTTP/2 is said to be none") {
    const std::string old = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    for (const Manner manner : {Manner::reply, Manner::reply_close})
        expect(ask(manner, old), Outcome::bad_answer, "does not speak HTTP/2");
    expect(ask(Manner::reply_close, "HTTP"), Outcome::bad_answer, "does not speak HTTP/2");
}

TEST_CASE("a server of HTTP/2 that does not answer") {
    SECTION("says nothing at all") {
        expect(ask(Manner::silent, "", httpCheck(60ms)), Outcome::no_answer,
               "timeout after 60ms (no byte)");
    }
    SECTION("says nothing of the request") {
        const Asked asked = ask(Manner::reply, kHello, httpCheck(60ms));
        CHECK(name(asked.outcome) == name(Outcome::bad_answer));
        CHECK(asked.text.starts_with("timeout after 60ms"));
    }
    SECTION("closes") {
        expect(ask(Manner::drop, ""), Outcome::no_answer, "connection closed without a byte");
        expect(ask(Manner::reply_close, kHello), Outcome::bad_answer,
               "connection closed within the answer");
    }
    SECTION("refuses the stream") {
        expect(ask(Manner::reply, kHello + frame(kReset, 0, 1, code(7))), Outcome::bad_answer,
               "reset the stream: REFUSED_STREAM");
    }
    SECTION("goes away before it") {
        expect(ask(Manner::reply, kHello + frame(kGoaway, 0, 0, code(0) + code(0))),
               Outcome::bad_answer, "reset the stream: REFUSED_STREAM");
    }
    SECTION("breaks the rules") {
        const std::string pushed = frame(kPush, kEndHeaders, 1, code(2) + "\x82");
        for (const std::string& bad :
             {frame(kHeaders, kEndHeaders, 2, "\x88"), frame(kData, 0, 0, "x"), pushed,
              frame(kHeaders, kEndHeaders | kEndStream, 1, "\x7f\xff\xff\xff\xff\x0f")}) {
            const Asked asked = ask(Manner::reply, kHello + bad);
            CHECK(name(asked.outcome) == name(Outcome::bad_answer));
            CHECK(asked.text == "broke the rules of HTTP/2");
        }
    }
}
