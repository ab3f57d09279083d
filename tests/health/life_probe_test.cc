#include "health/life_probe.h"

#include <catch2/catch.hpp>
#include <optional>

#include "tests/health/server.h"

using namespace regrow;
using namespace regrow::health;
using namespace regrow::health::test;
using namespace std::chrono_literals;
using Manner = Server::Manner;

namespace {

std::vector<conf::Check> checks(Duration timeout = 100ms) {
    conf::Check check;
    check.kind = conf::CheckKind::http;
    check.http_path = "/healthz";
    check.timeout = timeout;
    return {check};
}

Outcome probe(EventLoop& loop, const Address& address, const std::vector<conf::Check>& how) {
    std::optional<Outcome> result;
    std::string text;
    LifeProbe life(loop, address, how);
    life.start([&](Outcome outcome, std::string said) {
        CHECK_FALSE(result.has_value());
        result = outcome;
        text = std::move(said);
    });
    REQUIRE_FALSE(result.has_value());  // never from within start()
    REQUIRE(runUntil(loop, [&] { return result.has_value(); }));
    if (*result == Outcome::no_answer) CHECK(text == "not one byte within 2s");
    return *result;
}

}  // namespace

TEST_CASE("patience is four timeouts, and two seconds") {
    CHECK(lifePatience({}) == 2s);
    CHECK(lifePatience(checks(300ms)) == 2s);
    CHECK(lifePatience(checks(5s)) == 20s);
}

TEST_CASE("one byte of anything is life") {
    EventLoop loop;
    for (const auto* const text : {"x", "HTTP/1.1 500 no\r\n\r\n"}) {
        Server server(loop, Manner::drip, text);
        CHECK(probe(loop, server.address(), checks()) == Outcome::pass);
    }
}

TEST_CASE("it asks for what the check asks for, and for what is no page at all") {
    EventLoop loop;
    Server server(loop, Manner::silent);
    std::optional<Outcome> result;
    LifeProbe life(loop, server.address(), checks());
    life.start([&](Outcome outcome, const std::string&) { result = outcome; });
    REQUIRE(runUntil(loop, [&] { return server.accepted() == 2; }));
    CHECK_FALSE(result.has_value());
}

TEST_CASE("a port that answers nothing for all the time is silent") {
    EventLoop loop;
    SECTION("it accepts and says nothing, as a stopped process does") {
        Server server(loop, Manner::silent);
        CHECK(probe(loop, server.address(), checks()) == Outcome::no_answer);
    }
    SECTION("it closes") {
        Server server(loop, Manner::drop);
        CHECK(probe(loop, server.address(), checks()) == Outcome::no_answer);
        CHECK(server.accepted() > 4);
    }
    SECTION("it refuses") {
        const Refusing refusing;
        CHECK(probe(loop, refusing.address(), checks()) == Outcome::no_answer);
    }
    SECTION("it accepts nobody") {
        const Full full;
        CHECK(probe(loop, full.address(), {}) == Outcome::no_answer);
    }
}

TEST_CASE("what begins to answer within the time is alive") {
    EventLoop loop;
    Server server(loop, Manner::drop);
    Timer later(loop, [&] { server.become(Manner::reply, "x"); });
    later.after(500ms);
    CHECK(probe(loop, server.address(), checks()) == Outcome::pass);
}

TEST_CASE("a long probe that is dropped never answers") {
    EventLoop loop;
    Server server(loop, Manner::silent);
    auto life = std::make_unique<LifeProbe>(loop, server.address(), checks());
    life->start([](Outcome, const std::string&) { FAIL("answered"); });
    REQUIRE(runUntil(loop, [&] { return server.accepted() > 0; }));
    life.reset();
    CHECK(runUntil(loop, [&] { return server.open() == 0; }));
}
