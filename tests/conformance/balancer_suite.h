#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "proxy/balance/balancer.h"
#include "tests/support/allocation_counter.h"

// What every Balancer must do, whatever its way of choosing. Each check makes its own balancer.
namespace regrow::conformance {

// A pool of backends a, b, c … with the given weights, all accepting.
inline PoolView poolOf(const std::vector<int>& weights) {
    PoolView pool;
    for (size_t i = 0; i < weights.size(); ++i) {
        BackendView b;
        b.slot = static_cast<uint32_t>(100 + i);
        b.name =
            i < 26 ? std::string(1, static_cast<char>('a' + i)) : "backend-" + std::to_string(i);
        b.accepting = true;
        b.weight = weights[i];
        b.stats = std::make_shared<BackendStats>(2);
        pool.backends.push_back(b);
    }
    pool.stats = std::make_shared<PoolStats>(2);
    return pool;
}

inline void begin(const BackendView& b) {
    b.stats->shards[0].in_flight.add();
}
inline void end(const BackendView& b) {
    b.stats->shards[0].in_flight.sub();
}

// How many of `requests` each backend gets when each ends before the next begins.
inline std::map<std::string, int> share(Balancer& balancer, int requests, Instant now = {}) {
    std::map<std::string, int> count;
    for (int i = 0; i < requests; ++i) {
        const BackendView* b = balancer.pick(now, {}, {});
        if (b != nullptr) ++count[b->name];
    }
    return count;
}

// Whether turns are dealt, which gives exact shares, or drawn, which gives them within chance.
enum class Turns { dealt, drawn };

using MakeBalancer = std::function<std::unique_ptr<Balancer>(uint32_t rotation)>;

class BalancerSuite {
  public:
    explicit BalancerSuite(MakeBalancer make, Turns turns = Turns::dealt)
        : make_(std::move(make)), dealt_(turns == Turns::dealt) {}

    void runAll() const {
        sharesEvenly();
        sharesByWeight();
        if (dealt_) spreadsTurns();
        choosesOnlyWhoAccepts();
        avoidsTried();
        respectsMaxConnections();
        ramps();
        followsTheView();
        staysFairWhenTheViewChangesOften();
        if (dealt_) startsWhereToldTo();
        keepsToLargePools();
        survivesHugeWeights();
        heedsPriority();
        allocatesNothing();
    }

  private:
    std::unique_ptr<Balancer> over(const PoolView& pool, uint32_t rotation = 0,
                                   Instant now = {}) const {
        auto balancer = make_(rotation);
        balancer->update(pool, 0, now);
        return balancer;
    }

    // Dealt turns are off by at most one; of drawn ones, five standard deviations happen to one
    // test in two million.
    bool isAbout(int count, int expected) const {
        const double slack = dealt_ ? 1 : 5 * std::sqrt(expected) + 1;
        return std::abs(count - expected) <= slack;
    }
    void checkShares(const std::map<std::string, int>& count,
                     const std::map<std::string, int>& expected) const {
        CHECK(count.size() == expected.size());
        for (const auto& [name, n] : count) {
            INFO(name << ": " << n << " instead of " << expected.at(name));
            CHECK(isAbout(n, expected.at(name)));
        }
    }

    void sharesEvenly() const {
        const PoolView pool = poolOf({1, 1, 1});
        checkShares(share(*over(pool), 300), {{"a", 100}, {"b", 100}, {"c", 100}});
    }

    void sharesByWeight() const {
        const PoolView pool = poolOf({5, 1, 1});
        checkShares(share(*over(pool), 700), {{"a", 500}, {"b", 100}, {"c", 100}});
    }

    void spreadsTurns() const {
        const PoolView pool = poolOf({5, 1, 1});
        const auto balancer = over(pool);
        std::string order;
        for (int i = 0; i < 7; ++i) order += balancer->pick({}, {}, {})->name;
        CHECK(order == "aabacaa");
    }

    void choosesOnlyWhoAccepts() const {
        PoolView pool = poolOf({1, 0, 1, -1});
        pool.backends[0].accepting = false;
        CHECK(share(*over(pool), 10) == std::map<std::string, int>{{"c", 10}});
        pool.backends[2].accepting = false;
        CHECK(over(pool)->pick({}, {}, {}) == nullptr);
        CHECK(over(PoolView{})->pick({}, {}, {}) == nullptr);
    }

    void avoidsTried() const {
        const PoolView pool = poolOf({1, 1, 1});
        const auto balancer = over(pool);
        for (int i = 0; i < 30; ++i) {
            Tried tried;
            std::string seen;
            for (int attempt = 0; attempt < 3; ++attempt) {
                const BackendView* b = balancer->pick({}, tried, {});
                REQUIRE(b != nullptr);
                CHECK(seen.find(b->name) == std::string::npos);
                seen += b->name;
                tried.add(b->slot);
            }
            CHECK(balancer->pick({}, tried, {}) == nullptr);
        }
        checkShares(share(*balancer, 30), {{"a", 10}, {"b", 10}, {"c", 10}});
    }

    void respectsMaxConnections() const {
        PoolView pool = poolOf({1, 1});
        pool.backends[0].max_connections = 2;
        pool.backends[1].max_connections = 1;
        const auto balancer = over(pool);
        pool.backends[0].stats->shards[1].in_flight.add();  // another worker's
        for (int i = 0; i < 2; ++i) {
            const BackendView* b = balancer->pick({}, {}, {});
            REQUIRE(b != nullptr);
            begin(*b);
        }
        CHECK(balancer->pick({}, {}, {}) == nullptr);
        end(pool.backends[1]);
        REQUIRE(balancer->pick({}, {}, {}) == &pool.backends[1]);
    }

    // Full weight only at the end of the ramp; never nothing, or nobody would learn whether the
    // server works.
    void ramps() const {
        using namespace std::chrono_literals;
        PoolView pool = poolOf({1, 1});
        const Instant start{1h};
        pool.backends[0].ramp_from = start;
        pool.backends[0].ramp = 10s;
        const auto balancer = over(pool, 0, start);
        const auto at = [&](Duration d) { return share(*balancer, 1000, start + d)["a"]; };
        const int first = at(0s), half = at(5s), end = at(10s), later = at(1h);
        const auto within = [&](int count, int low, int high) {
            const int slack = dealt_ ? 0 : 5 * 16;  // 16: the deviation of 1,000 fair draws
            return count > low - slack && count < high + slack;
        };
        CHECK(within(first, 80, 100));  // 0.1 of 1.1
        CHECK(within(half, 325, 342));  // 0.5 of 1.5
        CHECK(within(end, 498, 502));
        CHECK(within(later, 498, 502));
        pool.backends[1].accepting = false;
        CHECK(over(pool, 0, start)->pick(start, {}, {}) ==
              &pool.backends[0]);  // alone it takes all
    }

    void followsTheView() const {
        const PoolView old_pool = poolOf({1, 1});
        const PoolView new_pool = poolOf({1, 1, 1, 1});
        const auto balancer = over(old_pool);
        share(*balancer, 11);
        balancer->update(new_pool, 0, {});
        const auto count = share(*balancer, 400);
        CHECK(count.size() == 4);
        for (const auto& [name, n] : count) CHECK(isAbout(n, 100));
    }

    void staysFairWhenTheViewChangesOften() const {
        const PoolView pool = poolOf({1, 1, 1});
        const auto balancer = over(pool);
        std::map<std::string, int> count;
        for (int i = 0; i < 300; ++i) {
            ++count[balancer->pick({}, {}, {})->name];
            balancer->update(pool, 0, {});
        }
        checkShares(count, {{"a", 100}, {"b", 100}, {"c", 100}});
    }

    void startsWhereToldTo() const {
        const PoolView pool = poolOf({1, 1, 1});
        std::string firsts;
        for (uint32_t worker = 0; worker < 4; ++worker)
            firsts += over(pool, worker)->pick({}, {}, {})->name;
        CHECK(firsts == "abca");
    }

    void keepsToLargePools() const {
        const PoolView pool = poolOf(std::vector<int>(100, 1));
        const auto count = share(*over(pool), 10'000);
        CHECK(count.size() == 100);
        const int slack = dealt_ ? 10 : 50;
        for (const auto& [name, n] : count) CHECK(std::abs(n - 100) <= slack);
        Tried tried;
        PoolView one_up = poolOf(std::vector<int>(100, 1));
        for (auto& b : one_up.backends) b.max_connections = 1, begin(b);
        const auto balancer = over(one_up);
        CHECK(balancer->pick({}, tried, {}) == nullptr);
        end(one_up.backends[77]);
        for (int i = 0; i < 10; ++i) CHECK(balancer->pick({}, tried, {}) == &one_up.backends[77]);
    }

    void survivesHugeWeights() const {
        const PoolView pool = poolOf({INT32_MAX, INT32_MAX, 1});
        const auto count = share(*over(pool), 10'000);
        CHECK(std::abs(count.at("a") - count.at("b")) <= (dealt_ ? 1 : 500));
    }

    void heedsPriority() const {
        PoolView pool = poolOf({1, 1, 1, 1});
        pool.backends[0].priority = pool.backends[1].priority = 1;
        auto balancer = make_(0);
        balancer->update(pool, 1, {});
        checkShares(share(*balancer, 200), {{"a", 100}, {"b", 100}});
        Tried tried;
        CHECK_FALSE(balancer->exhausted(tried));
        tried.add(pool.backends[0].slot);
        CHECK_FALSE(balancer->exhausted(tried));
        tried.add(pool.backends[1].slot);
        CHECK(balancer->exhausted(tried));
        balancer->update(pool, 2, {});
        CHECK(balancer->pick({}, {}, {}) == nullptr);
        CHECK(balancer->exhausted({}));
    }

    void allocatesNothing() const {
        PoolView pool = poolOf({1, 2, 3});
        pool.backends[0].max_connections = 1;
        const auto balancer = over(pool);
        Tried tried;
        tried.add(102);
        const uint64_t before = test::threadAllocations();
        for (int i = 0; i < 100; ++i)
            balancer->pick(Instant{} + std::chrono::seconds(i), tried, {});
        CHECK(test::threadAllocations() == before);
    }

    MakeBalancer make_;
    bool dealt_;
};

}  // namespace regrow::conformance
