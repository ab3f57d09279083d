#include <catch2/catch.hpp>

#include "proxy/serve/body_relay.h"
#include "proxy/serve/deadline_wheel.h"

using namespace regrow;
using namespace regrow::serve;
using namespace std::chrono_literals;

TEST_CASE("deadlines fire when due, once, and not when moved or cleared") {
    const Instant start{1h};
    DeadlineWheel wheel(start);
    int fired = 0;
    Deadline d([](void* count) { ++*static_cast<int*>(count); }, &fired);
    auto sweepUntil = [&, at = start](Duration to) mutable {
        for (; at < start + to; at += DeadlineWheel::kTick) wheel.sweep(at);
        wheel.sweep(start + to);
    };
    SECTION("at most a tick late") {
        wheel.set(d, start + 120ms);
        sweepUntil(119ms);
        CHECK(fired == 0);
        sweepUntil(200ms);
        CHECK(fired == 1);
        sweepUntil(60s);
        CHECK(fired == 1);
    }
    SECTION("moved later, then earlier") {
        wheel.set(d, start + 100ms);
        wheel.set(d, start + 10s);
        sweepUntil(5s);
        CHECK(fired == 0);
        wheel.set(d, start + 6s);
        sweepUntil(6100ms);
        CHECK(fired == 1);
    }
    SECTION("cleared") {
        wheel.set(d, start + 100ms);
        d.clear();
        sweepUntil(1s);
        CHECK(fired == 0);
    }
    SECTION("beyond the wheel's span") {
        wheel.set(d, start + 100s);
        sweepUntil(99s);
        CHECK(fired == 0);
        sweepUntil(101s);
        CHECK(fired == 1);
    }
    SECTION("after a long sleep") {
        wheel.set(d, start + 100ms);
        wheel.sweep(start + 500s);
        CHECK(fired == 1);
    }
}

namespace {

// Feeds `input` in steps of `step` bytes and gathers what would be sent.
std::string relay(http::Body in, bool chunk_out, std::string_view input, size_t step, bool close,
                  std::string* rest = nullptr) {
    BufferPool pool;
    Buffer buffer;
    buffer.ensure(pool);
    BodyRelay relay;
    relay.begin(in, chunk_out, true);
    std::string out;
    while (!input.empty()) {
        if (buffer.empty()) buffer.rewind();
        buffer.append(input.substr(0, step));
        input.remove_prefix(std::min(step, input.size()));
        if (!relay.transform(buffer)) return "flaw";
        out += relay.out();
        relay.sent(relay.out().size());
    }
    if (close && !relay.closed(buffer)) return "cut";
    out += relay.out();
    if (rest) *rest = buffer.view();
    buffer.release(pool);
    return out;
}

// A chunked body's payload, for comparing bodies that were cut differently.
std::string payloadOf(std::string_view chunked) {
    return relay({http::BodyKind::chunked, 0}, false, chunked, chunked.size(), true);
}

}  // namespace

TEST_CASE("bodies are framed anew, wherever they are cut") {
    const std::string chunked =
        "1\r\na\r\n10\r\n0123456789abcdef\r\n3\r\nxyz\r\n0\r\nTrailer: x\r\n\r\n";
    for (size_t step = 1; step <= chunked.size() + 7; ++step) {
        std::string rest;
        INFO(step);
        CHECK(relay({http::BodyKind::chunked, 0}, false, chunked + "GET / ", step, false, &rest) ==
              "a0123456789abcdefxyz");
        const std::string out = relay({http::BodyKind::chunked, 0}, true, chunked, step, true);
        CHECK(out.ends_with("0\r\n\r\n"));
        CHECK(payloadOf(out) == "a0123456789abcdefxyz");
        CHECK(relay({http::BodyKind::length, 5}, false, "abcdeGET", step, false) == "abcde");
        CHECK(payloadOf(relay({http::BodyKind::until_close, 0}, true, "until close", step, true)) ==
              "until close");
    }
    std::string rest;
    relay({http::BodyKind::chunked, 0}, true, chunked + "GET / ", 1000, false, &rest);
    CHECK(rest == "GET / ");
    CHECK(relay({http::BodyKind::length, 5}, false, "abc", 1, true) == "cut");
    CHECK(relay({http::BodyKind::chunked, 0}, true, "3\r\nabc\r\n", 1, true) == "cut");
    CHECK(relay({http::BodyKind::chunked, 0}, true, "3;\r\nabc\r\n", 1, true) == "flaw");
}

TEST_CASE("trailers pass, but for those that frame, route or vouch") {
    const std::string chunked =
        "3\r\nabc\r\n0\r\nX-Sum: 900150983cd2\r\nConnection: close\r\nX-Forwarded-For: "
        "1.1.1.1\r\nServer-Timing: a;dur=1\r\n\r\n";
    for (size_t step = 1; step <= chunked.size(); ++step) {
        INFO(step);
        const std::string out = relay({http::BodyKind::chunked, 0}, true, chunked, step, true);
        CHECK(out.ends_with("\r\n0\r\nX-Sum: 900150983cd2\r\nServer-Timing: a;dur=1\r\n\r\n"));
        CHECK(payloadOf(out) == "abc");
    }
}

TEST_CASE("trailers of a body without framing are framed with its end") {
    BufferPool pool;
    Buffer buffer;
    buffer.ensure(pool);
    BodyRelay body;
    body.begin({http::BodyKind::until_close, 0}, true, true);
    REQUIRE(body.closed(buffer, "grpc-status: 0\r\nconnection: x\r\n"));
    CHECK(body.out() == "0\r\ngrpc-status: 0\r\n\r\n");
    body.begin({http::BodyKind::until_close, 0}, true, true);
    REQUIRE(body.closed(buffer, "connection: x\r\n"));
    CHECK(body.out() == "0\r\n\r\n");
    buffer.release(pool);
}
