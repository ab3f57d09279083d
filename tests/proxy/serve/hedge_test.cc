#include <catch2/catch.hpp>

#include "proxy/serve/silence.h"
#include "tests/support/proxy_under_test.h"

using namespace regrow;
using namespace regrow::test;

namespace {

constexpr auto kGet = "GET / HTTP/1.1\r\nHost: wiki\r\n\r\n";
constexpr auto kHi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
constexpr auto kBroken = "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno";

// The first is preferred, and has answered just often enough for the proxy to know what is usual.
struct Race {
    enum class Second : uint8_t { answers, refuses, crowded };
    explicit Race(Second how = Second::answers) : proxy({first.address(), second.address()}) {
        if (how == Second::refuses) second.stop();
        if (how == Second::crowded) before = second.crowd();
        proxy.pool.backends[1].priority = 1;
        proxy.pool.retry.hedge = true;
        proxy.pool.timeouts.connect = 10s;
        proxy.run();
        client = proxy.connect();
        for (uint32_t i = 0; i < serve::Silence::kEnough; ++i) {
            client.say(kGet);
            if (i == 0) one = first.accept();
            one.hearHead();
            one.say(kHi);
            client.hearHead(), client.hear(2);
        }
        client.say(kGet);
        one.hearHead();
    }
    void begin() {
        two = second.accept();
        two.hearHead();
    }
    uint64_t won() const { return proxy.pool.stats->sum(&PoolShard::hedges_won); }
    void fence(size_t which) {
        ++proxy.pool.backends[which].epoch;
        proxy.publish();
    }

    Origin first, second;
    ProxyUnderTest proxy;
    Peer client, one, two, before;
};

}  // namespace

TEST_CASE("of two that race the first good answer wins") {
    Race race;
    race.begin();
    SECTION("the second's") {
        race.two.say(kHi);
        CHECK(race.client.hearHead().starts_with("HTTP/1.1 200 "));
        CHECK(race.won() == 1);
        race.one.say(kHi);  // heard, and of no use to anybody
        CHECK(race.one.hearAll(true).empty());
    }
    SECTION("the first's, after the second's 5xx") {
        race.two.say(kBroken);
        REQUIRE(eventually([&] {
            return race.proxy.pool.backends[1].stats->sum(&BackendShard::status_5xx) == 1;
        }));
        race.one.say(kHi);
        CHECK(race.client.hearHead().starts_with("HTTP/1.1 200 "));
        CHECK(race.won() == 0);
    }
    SECTION("the first's, after the second's reset") {
        race.two.reset();
        REQUIRE(eventually(
            [&] { return race.proxy.pool.backends[1].stats->sum(&BackendShard::resets) == 1; }));
        race.one.say(kHi);
        CHECK(race.client.hearHead().starts_with("HTTP/1.1 200 "));
    }
    SECTION("the second's, after the first's reset") {
        race.one.reset();
        REQUIRE(eventually(
            [&] { return race.proxy.pool.backends[0].stats->sum(&BackendShard::in_flight) == 0; }));
        race.two.say(kHi);
        CHECK(race.client.hearHead().starts_with("HTTP/1.1 200 "));
        CHECK_FALSE(race.second.called(0));  // the one under way took its place, not another
    }
    CHECK(race.client.hear(2) == "hi");
    CHECK(race.proxy.pool.stats->sum(&PoolShard::hedges) == 1);
    CHECK(race.proxy.pool.stats->sum(&PoolShard::errors) == 0);
}

TEST_CASE("a second that cannot be reached leaves the race to the first") {
    Race race(Race::Second::refuses);
    REQUIRE(eventually([&] {
        return race.proxy.pool.backends[1].stats->sum(&BackendShard::connect_failures) == 1;
    }));
    race.one.say(kHi);
    CHECK(race.client.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(race.proxy.pool.stats->sum(&PoolShard::errors) == 0);
    CHECK(race.proxy.pool.backends[1].stats->sum(&BackendShard::in_flight) == 0);
}

TEST_CASE("the first dies while the second is being connected to") {
    Race race(Race::Second::crowded);
    REQUIRE(eventually([&] { return race.proxy.pool.stats->sum(&PoolShard::hedges) == 1; }));
    race.one.reset();
    REQUIRE(eventually(
        [&] { return race.proxy.pool.backends[0].stats->sum(&BackendShard::in_flight) == 0; }));
    race.second.accept();
    race.begin();
    race.two.say(kHi);
    CHECK(race.client.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(race.proxy.pool.stats->sum(&PoolShard::errors) == 0);
    CHECK_FALSE(race.second.called(0));
}

TEST_CASE("a fence of either of two that race leaves the race to the other") {
    Race race;
    race.begin();
    const size_t fenced = GENERATE(0, 1);
    race.fence(fenced);
    Peer& cut = fenced == 0 ? race.one : race.two;
    Peer& left = fenced == 0 ? race.two : race.one;
    CHECK(cut.hearAll(true).empty());
    left.say(kHi);
    CHECK(race.client.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(race.proxy.pool.stats->sum(&PoolShard::replayed) == 0);
    CHECK(race.proxy.pool.backends[fenced].stats->sum(&BackendShard::in_flight) == 0);
}

TEST_CASE("a backend whose every request is answered by a faster one is seen to be silent") {
    Race race;
    race.begin();
    const auto stalls = [&] {
        return race.proxy.pool.backends[0].stats->sum(&BackendShard::stalls);
    };
    const auto answered = [&](Peer& by) {
        by.say(kHi);
        CHECK(race.client.hearHead().starts_with("HTTP/1.1 200 "));
        CHECK(race.client.hear(2) == "hi");
    };
    answered(race.two);
    CHECK(stalls() == 0);  // one may be slow
    race.client.say(kGet);
    Peer again = race.first.accept();
    again.hearHead();
    race.two.hearHead();
    answered(race.two);
    CHECK(again.hearAll(true).empty());  // one is enough to hear that it is back
    REQUIRE(eventually([&] { return stalls() == 1; }));
    race.client.say(kGet);
    race.two.hearHead();
    answered(race.two);
    race.one.say(kHi);
    race.one.hearAll(true);
    race.client.say(kGet);  // trusted again
    Peer trusted = race.first.accept();
    trusted.hearHead();
    answered(trusted);
}
