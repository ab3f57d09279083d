#include "health/check_scheduler.h"

#include <catch2/catch.hpp>
#include <map>

#include "tests/health/server.h"

using namespace regrow;
using namespace regrow::health;
using namespace regrow::health::test;
using namespace std::chrono_literals;
using Manner = Server::Manner;

namespace {

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

conf::Check http(Duration every, Duration timeout) {
    conf::Check check;
    check.kind = conf::CheckKind::http;
    check.http_path = "/";
    check.every = every;
    check.timeout = timeout;
    return check;
}

// A scheduler and all it reported.
struct Watch {
    EventLoop loop;
    std::vector<std::pair<std::string, CheckResult>> results;
    std::function<void(const std::string&)> also;
    CheckScheduler scheduler{loop, Random(7),
                             [this](const std::string& key, const CheckResult& result) {
                                 results.emplace_back(key, result);
                                 if (also) also(key);
                             }};

    size_t count(const std::string& key, Outcome outcome = Outcome::pass) const {
        size_t n = 0;
        for (const auto& [k, r] : results) n += k == key && r.outcome == outcome;
        return n;
    }
};

}  // namespace

TEST_CASE("a target is asked again and again, and a hanging one delays nobody") {
    Watch w;
    Server good(w.loop, Manner::reply, kOk);
    Server hangs(w.loop, Manner::silent);
    w.scheduler.setTarget({"p/hangs", hangs.address(), {http(5s, 4s)}});
    for (int i = 0; i < 20; ++i)
        w.scheduler.setTarget({"p/hangs" + std::to_string(i), hangs.address(), {http(5s, 4s)}});
    w.scheduler.setTarget({"p/good", good.address(), {http(20ms, 20ms)}});
    REQUIRE(runUntil(w.loop, [&] { return w.count("p/good") >= 10; }));
    CHECK(w.count("p/hangs", Outcome::no_answer) == 0);
}

TEST_CASE("a lane never has two probes out") {
    Watch w;
    Server hangs(w.loop, Manner::silent);
    w.scheduler.setTarget({"p/a", hangs.address(), {http(30ms, 30ms)}});
    w.scheduler.setFast("p/a", true);
    w.also = [&](const std::string& key) { w.scheduler.checkNow(key); };
    REQUIRE(runUntil(w.loop, [&] { return w.results.size() >= 5; }));
    CHECK(hangs.mostOpen() == 1);
    CHECK(w.count("p/a", Outcome::no_answer) == w.results.size());
}

TEST_CASE("several checks of a target report on their own") {
    Watch w;
    Server good(w.loop, Manner::reply, kOk);
    conf::Check command;
    command.kind = conf::CheckKind::command;
    command.command = {"false"};
    w.scheduler.setTarget({"p/a", good.address(), {http(20ms, 20ms), command}});
    REQUIRE(runUntil(w.loop,
                     [&] { return w.count("p/a") >= 2 && w.count("p/a", Outcome::failed) >= 1; }));
    for (const auto& [key, result] : w.results)
        CHECK(result.check == (result.outcome == Outcome::pass ? 0u : 1u));
}

TEST_CASE("checkNow does not wait for the turn") {
    Watch w;
    Server good(w.loop, Manner::reply, kOk);
    w.scheduler.setTarget({"p/a", good.address(), {http(1h, 1s)}});
    w.scheduler.checkNow("p/a");
    REQUIRE(runUntil(w.loop, [&] { return w.results.size() == 1; }));
    w.scheduler.checkNow("p/a");
    REQUIRE(runUntil(w.loop, [&] { return w.results.size() == 2; }));
    w.scheduler.checkNow("p/nobody");
}

TEST_CASE("checkNow during a probe asks once more after it") {
    Watch w;
    Server server(w.loop, Manner::silent);
    w.scheduler.setTarget({"p/a", server.address(), {http(1h, 100ms)}});
    w.scheduler.checkNow("p/a");
    REQUIRE(runUntil(w.loop, [&] { return server.accepted() == 1; }));
    for (int i = 0; i < 5; ++i) w.scheduler.checkNow("p/a");
    REQUIRE(runUntil(w.loop, [&] { return w.results.size() == 2; }));
    CHECK(server.accepted() == 2);
}

TEST_CASE("a fast lane brings the next probe forward") {
    Watch w;
    Server good(w.loop, Manner::reply, kOk);
    w.scheduler.setTarget({"p/a", good.address(), {http(6s, 1s)}});
    w.scheduler.checkNow("p/a");
    REQUIRE(runUntil(w.loop, [&] { return w.results.size() == 1; }));
    w.scheduler.setFast("p/a", true);
    REQUIRE(runUntil(
        w.loop, [&] { return w.results.size() == 3; }));  // its slow pace would take twelve seconds
    CHECK(fastInterval(1s) == 100ms);
    CHECK(fastInterval(30s) == 3s);
    CHECK(fastInterval(50ms) == 50ms);
}

TEST_CASE("what a removed or changed target was asked is never reported") {
    Watch w;
    Server slow(w.loop, Manner::silent);
    Server good(w.loop, Manner::reply, kOk);
    w.scheduler.setTarget({"p/gone", slow.address(), {http(1h, 100ms)}});
    w.scheduler.setTarget({"p/moved", slow.address(), {http(1h, 100ms)}});
    w.scheduler.checkNow("p/gone");
    w.scheduler.checkNow("p/moved");
    REQUIRE(runUntil(w.loop, [&] { return slow.accepted() == 2; }));
    w.scheduler.removeTarget("p/gone");
    w.scheduler.setTarget({"p/moved", good.address(), {http(20ms, 20ms)}});
    REQUIRE(runUntil(w.loop, [&] { return w.count("p/moved") >= 8 && slow.open() == 0; }));
    CHECK(w.count("p/moved", Outcome::no_answer) == 0);
    CHECK(w.count("p/gone", Outcome::no_answer) == 0);
    CHECK(w.scheduler.size() == 1);
}

TEST_CASE("setting an unchanged target leaves the probe under way alone") {
    Watch w;
    Server slow(w.loop, Manner::silent);
    const CheckTarget target{"p/a", slow.address(), {http(1h, 100ms)}};
    w.scheduler.setTarget(target);
    w.scheduler.checkNow("p/a");
    REQUIRE(runUntil(w.loop, [&] { return slow.accepted() == 1; }));
    w.scheduler.setTarget(target);
    REQUIRE(runUntil(w.loop, [&] { return w.results.size() == 1; }));
    CHECK(slow.accepted() == 1);
}

TEST_CASE("the callback may remove and replace targets") {
    Watch w;
    Server good(w.loop, Manner::reply, kOk);
    w.also = [&](const std::string& key) {
        w.scheduler.removeTarget(key);
        if (key == "p/a") w.scheduler.setTarget({"p/b", good.address(), {http(20ms, 20ms)}});
    };
    w.scheduler.setTarget({"p/a", good.address(), {http(20ms, 20ms)}});
    REQUIRE(runUntil(w.loop, [&] { return w.count("p/b") == 1; }));
    CHECK(w.scheduler.size() == 0);
}

TEST_CASE("a lane keeps its pace") {
    Watch w;
    Server good(w.loop, Manner::reply, kOk);
    const auto begun = Mono::now();
    w.scheduler.setTarget({"p/slow", good.address(), {http(200ms, 200ms)}});
    w.scheduler.setTarget({"p/quick", good.address(), {http(20ms, 20ms)}});
    REQUIRE(runUntil(w.loop, [&] { return w.count("p/quick") >= 30; }));
    // Bounds that hold however slow the machine is: jitter never shortens an interval by more than
    // a tenth.
    const auto possible = static_cast<size_t>((Mono::now() - begun) / 180ms) + 1;
    CHECK(w.count("p/slow") <= possible);
    CHECK(w.count("p/slow") >= 1);
}
