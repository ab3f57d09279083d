#include "proxy/balance/pool_balancer.h"

#include <catch2/catch.hpp>

#include "proxy/balance/peak_ewma.h"
#include "tests/conformance/balancer_suite.h"

using namespace regrow;
using namespace regrow::conformance;
using namespace std::chrono_literals;

TEST_CASE("a higher priority number is used when no lower one accepts", "[balance]") {
    PoolView pool = poolOf({1, 1, 1, 1});
    pool.backends[1].priority = 1;
    pool.backends[3].priority = 5;
    PoolBalancer balancer(0);
    CHECK(balancer.pick({}, {}, {}) == nullptr);  // before the first view
    balancer.update(pool, {});
    const auto names = [&] {
        std::map<std::string, int> count;
        for (int i = 0; i < 100; ++i)
            if (const auto* b = balancer.pick({}, {}, {})) ++count[b->name];
        return count;
    };
    CHECK(names() == std::map<std::string, int>{{"a", 50}, {"c", 50}});
    pool.backends[0].accepting = pool.backends[2].accepting = false;
    balancer.update(pool, {});
    CHECK(names() == std::map<std::string, int>{{"b", 100}});
    pool.backends[1].accepting = false;
    balancer.update(pool, {});
    CHECK(names() == std::map<std::string, int>{{"d", 100}});
    pool.backends[2].accepting = true;
    balancer.update(pool, {});
    CHECK(names() == std::map<std::string, int>{{"c", 100}});
}

TEST_CASE(
    "a request that failed on all of one priority goes to the next; one that finds them full waits",
    "[balance]") {
    PoolView pool = poolOf({1, 1, 1});
    pool.backends[2].priority = 1;
    PoolBalancer balancer(0);
    balancer.update(pool, {});
    Tried tried;
    tried.add(pool.backends[0].slot);
    CHECK(balancer.pick({}, tried, {})->name == "b");
    tried.add(pool.backends[1].slot);
    CHECK(balancer.pick({}, tried, {})->name == "c");

    pool.backends[0].max_connections = 1;
    begin(pool.backends[0]);
    Tried only_b;
    only_b.add(pool.backends[1].slot);
    CHECK(balancer.pick({}, only_b, {}) == nullptr);
}

TEST_CASE("the backend that the cookie names comes first, while it takes requests", "[balance]") {
    PoolView pool = poolOf({1, 0, 1});
    pool.backends[2].priority = 3;
    PoolBalancer balancer(0);
    balancer.update(pool, {});
    for (uint32_t i = 0; i < 3; ++i) {
        RequestKey key;
        key.sticky_slot = pool.backends[i].slot;
        key.sticky_index = i;
        CHECK(balancer.pick({}, {}, key) == &pool.backends[i]);
        Tried tried;
        tried.add(pool.backends[i].slot);
        CHECK(balancer.pick({}, tried, key) != &pool.backends[i]);
    }
    RequestKey key{.sticky_slot = pool.backends[2].slot, .sticky_index = 2};
    pool.backends[2].max_connections = 1;
    begin(pool.backends[2]);
    CHECK(balancer.pick({}, {}, key)->name == "a");
    end(pool.backends[2]);
    pool.backends[2].accepting = false;
    CHECK(balancer.pick({}, {}, key)->name == "a");
    pool.backends[2].accepting = true;
    key.sticky_index = 99;  // the pool has become smaller since the head was read
    CHECK(balancer.pick({}, {}, key)->name == "a");
}

TEST_CASE("ewma goes where an answer would come sooner", "[balance]") {
    const PoolView pool = poolOf({1, 1});
    PoolBalancer balancer(0);
    PoolView with = pool;
    with.balance = conf::Balance::ewma;
    balancer.update(with, {});
    const Instant now{1h};
    balancer.answered(100, 10ms, now);
    balancer.answered(101, 35ms, now);
    for (int i = 0; i < 3; ++i) {
        const auto* b = balancer.pick(now, {}, {});
        CHECK(b->name == "a");  // 10, 20, 30 ms < 35
        begin(*b);
    }
    CHECK(balancer.pick(now, {}, {})->name == "b");  // 40 ms > 35
}

TEST_CASE("a spike counts at once, better answers by and by, and silence forgets", "[balance]") {
    const PoolView pool = poolOf({1, 1});
    PeakEwma balancer(0);
    balancer.update(pool, 0, {});
    Instant now{1h};
    balancer.answered(100, 10ms, now);
    CHECK(balancer.latency(100, now) == Approx(0.010));
    balancer.answered(100, 500ms, now);
    CHECK(balancer.latency(100, now) == Approx(0.5));
    now += 10s;
    CHECK(balancer.latency(100, now) == Approx(0.5 / 2.71828).epsilon(0.01));
    balancer.answered(100, 10ms, now);
    CHECK(balancer.latency(100, now) ==
          Approx(0.5 / 2.71828 + 0.01 * (1 - 1 / 2.71828)).epsilon(0.01));
    CHECK(balancer.latency(101, now) == 0);
    CHECK(balancer.latency(9999, now) == 0);
    balancer.answered(9999, 1s, now);  // a place that is gone

    PoolView replaced = pool;
    replaced.backends[0].epoch = 2;
    balancer.update(replaced, 0, now);
    CHECK(balancer.latency(100, now) == 0);  // another server
}

TEST_CASE("what has not answered yet gets no second request while others do", "[balance]") {
    PoolView pool = poolOf({1, 1});
    PeakEwma balancer(0);
    const Instant now{1h};
    balancer.update(pool, 0, now);
    balancer.answered(101, 900ms, now);
    begin(pool.backends[0]);
    for (int i = 0; i < 20; ++i) CHECK(balancer.pick(now, {}, {})->name == "b");
}

TEST_CASE("random two prefers the less loaded by weight", "[balance]") {
    const PoolView pool = poolOf({1, 4});
    const auto balancer = makeBalancer(conf::Balance::random_two, 0);
    balancer->update(pool, 0, {});
    for (int i = 0; i < 2; ++i) begin(pool.backends[0]);
    for (int i = 0; i < 7; ++i) begin(pool.backends[1]);
    for (int i = 0; i < 20; ++i) CHECK(balancer->pick({}, {}, {})->name == "b");  // 7/4 < 2/1
}
