#include "proxy/balance/balancer.h"

#include <catch2/catch.hpp>

#include "base/random.h"
#include "tests/conformance/balancer_suite.h"

using namespace regrow;
using namespace regrow::conformance;

TEST_CASE("round robin conforms", "[balance]") {
    BalancerSuite([](uint32_t rotation) {
        return makeBalancer(conf::Balance::round_robin, rotation);
    }).runAll();
}

TEST_CASE("least requests conforms", "[balance]") {
    BalancerSuite([](uint32_t rotation) {
        return makeBalancer(conf::Balance::least_requests, rotation);
    }).runAll();
}

TEST_CASE("random two conforms", "[balance]") {
    BalancerSuite(
        [](uint32_t rotation) { return makeBalancer(conf::Balance::random_two, rotation); },
        Turns::drawn)
        .runAll();
}

TEST_CASE("ewma conforms", "[balance]") {
    BalancerSuite([](uint32_t rotation) { return makeBalancer(conf::Balance::ewma, rotation); },
                  Turns::drawn)
        .runAll();
}

TEST_CASE("hash conforms, for requests without the key", "[balance]") {
    BalancerSuite([](uint32_t rotation) {
        return makeBalancer(conf::Balance::hash, rotation);
    }).runAll();
}

TEST_CASE("least requests goes where the fewest are under way for the weight", "[balance]") {
    const PoolView pool = poolOf({1, 1, 4});
    const auto balancer = makeBalancer(conf::Balance::least_requests, 0);
    balancer->update(pool, 0, {});
    for (int i = 0; i < 3; ++i) begin(pool.backends[0]);
    for (int i = 0; i < 2; ++i)
        pool.backends[1].stats->shards[1].in_flight.add();  // another worker's count too
    for (int i = 0; i < 7; ++i) begin(pool.backends[2]);
    CHECK(balancer->pick({}, {}, {}) == &pool.backends[2]);  // 7/4 < 2/1 < 3/1
    for (int i = 0; i < 2; ++i) begin(pool.backends[2]);
    CHECK(balancer->pick({}, {}, {}) == &pool.backends[1]);  // 2/1 < 9/4 < 3/1
}

// A slow backend keeps its requests longer, so fewer new ones reach it: what round robin cannot do.
TEST_CASE("least requests gives a slow backend less", "[balance]") {
    const PoolView pool = poolOf({1, 1, 1});
    const auto balancer = makeBalancer(conf::Balance::least_requests, 0);
    balancer->update(pool, 0, {});
    std::multimap<int, const BackendView*> ends;
    std::map<std::string, int> count;
    for (int now = 0; now < 3000; ++now) {
        for (; !ends.empty() && ends.begin()->first <= now; ends.erase(ends.begin()))
            end(*ends.begin()->second);
        const BackendView* b = balancer->pick({}, {}, {});
        REQUIRE(b != nullptr);
        begin(*b);
        ++count[b->name];
        ends.emplace(now + (b->name == "a" ? 30 : 3), b);
    }
    CHECK(count["a"] * 4 < count["b"]);
    CHECK(std::abs(count["b"] - count["c"]) < 100);
}

TEST_CASE("round robin owes no burst to a backend that was full", "[balance]") {
    PoolView pool = poolOf({1, 1});
    pool.backends[0].max_connections = 1;
    begin(pool.backends[0]);
    const auto balancer = makeBalancer(conf::Balance::round_robin, 0);
    balancer->update(pool, 0, {});
    CHECK(share(*balancer, 1000) == std::map<std::string, int>{{"b", 1000}});
    end(pool.backends[0]);
    CHECK(share(*balancer, 10) == std::map<std::string, int>{{"a", 5}, {"b", 5}});
}

TEST_CASE("what was tried longest ago is forgotten first", "[balance]") {
    Tried tried;
    CHECK(tried.empty());
    for (uint32_t slot = 0; slot < 17; ++slot) tried.add(slot);
    CHECK_FALSE(tried.contains(0));
    CHECK(tried.contains(1));
    CHECK(tried.contains(16));
    tried.clear();
    CHECK_FALSE(tried.contains(16));
}
