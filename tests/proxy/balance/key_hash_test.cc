#include "proxy/balance/key_hash.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "base/random.h"
#include "tests/conformance/balancer_suite.h"

using namespace regrow;
using namespace regrow::conformance;
using namespace std::chrono_literals;

namespace {

PoolView hashPool(const std::vector<int>& weights) {
    PoolView pool = poolOf(weights);
    pool.balance = conf::Balance::hash;
    std::vector<KeyTable::Owner> owners;
    for (const auto& b : pool.backends) owners.push_back({b.name, b.weight});
    pool.keys = std::make_shared<const KeyTable>(owners);
    return pool;
}

RequestKey key(int number) {
    RequestKey made;
    made.hash = hashOf("key " + std::to_string(number));
    return made;
}

struct Chooser {
    explicit Chooser(const PoolView& pool, Instant now = {}) : balancer(0) {
        balancer.update(pool, 0, now);
    }
    std::string of(int number, Instant now = {}, const Tried& tried = {}) {
        const BackendView* b = balancer.pick(now, tried, key(number));
        return b ? b->name : "";
    }
    KeyHash balancer;
};

void started(const PoolView& pool, const BackendView& b) {
    b.stats->shards[0].in_flight.add();
    pool.stats->shards[0].in_flight.add();
}
void ended(const PoolView& pool, const BackendView& b) {
    b.stats->shards[0].in_flight.sub();
    pool.stats->shards[0].in_flight.sub();
}

}  // namespace

TEST_CASE("a key keeps its backend, whoever asks", "[balance]") {
    const PoolView pool = hashPool({1, 1, 1});
    Chooser one(pool), other(pool);
    std::map<std::string, int> count;
    for (int k = 0; k < 3000; ++k) {
        const auto chosen = one.of(k);
        CHECK(chosen == other.of(k));
        ++count[chosen];
    }
    for (const auto& [name, n] : count) CHECK(std::abs(n - 1000) < 150);
}

TEST_CASE("when a backend goes only its keys move, to all others, and it has them back",
          "[balance]") {
    PoolView pool = hashPool({1, 1, 1, 1, 1});
    std::map<int, std::string> before;
    Chooser chooser(pool);
    for (int k = 0; k < 5000; ++k) before[k] = chooser.of(k);
    pool.backends[2].accepting = false;
    chooser.balancer.update(pool, 0, {});
    std::map<std::string, int> heirs;
    for (int k = 0; k < 5000; ++k) {
        const auto now = chooser.of(k);
        if (before[k] == "c")
            ++heirs[now];
        else
            REQUIRE(now == before[k]);
    }
    CHECK(heirs.size() == 4);
    for (const auto& [name, n] : heirs) CHECK(n > 150);  // of some 1,000
    pool.backends[2].accepting = true;
    pool.backends[2].epoch = 7;  // another server, another address: the place is what counts
    chooser.balancer.update(pool, 0, {});
    for (int k = 0; k < 5000; ++k) REQUIRE(chooser.of(k) == before[k]);
}

TEST_CASE("a backend that was tried or is full is stepped over by its keys alone", "[balance]") {
    PoolView pool = hashPool({1, 1, 1});
    Chooser chooser(pool);
    for (int k = 0; k < 300; ++k) {
        const BackendView* own = chooser.balancer.pick({}, {}, key(k));
        Tried tried;
        tried.add(own->slot);
        CHECK(chooser.of(k, {}, tried) != own->name);
    }
    pool.backends[0].max_connections = 1;
    pool.backends[0].stats->shards[0].in_flight.add();
    Chooser full(pool);
    for (int k = 0; k < 300; ++k) CHECK(full.of(k) != "a");
}

// The theorem: with m requests under way nobody has more than ceil(bound * m / n), whatever the
// keys.
TEST_CASE("no backend takes more than its bounded share, however skewed the keys", "[balance]") {
    const auto bound = GENERATE(1.05, 1.25, 2.0);
    PoolView pool = hashPool(std::vector<int>(20, 1));
    pool.hash.bound = bound;
    Chooser chooser(pool);
    Random random(7);
    std::vector<const BackendView*> under_way;
    for (int i = 0; i < 20'000; ++i) {
        // Half of all requests have the same key, as a page that everybody wants.
        const int k = random.below(2) == 0 ? 1 : static_cast<int>(random.below(1000));
        const BackendView* b = chooser.balancer.pick({}, {}, key(k));
        REQUIRE(b);
        started(pool, *b);
        under_way.push_back(b);
        const double m = static_cast<double>(under_way.size());
        REQUIRE(static_cast<double>(inFlight(*b)) <= std::ceil(bound * m / 20));
        while (under_way.size() > 400 || (!under_way.empty() && random.below(3) == 0)) {
            const size_t at = random.below(under_way.size());
            ended(pool, *under_way[at]);
            under_way[at] = under_way.back();
            under_way.pop_back();
        }
    }
}

TEST_CASE("the bound follows the weights", "[balance]") {
    PoolView pool = hashPool({3, 1});
    Chooser chooser(pool);
    for (int i = 0; i < 400; ++i) {
        const BackendView* b = chooser.balancer.pick({}, {}, key(5));  // one key for all
        REQUIRE(b);
        started(pool, *b);
    }
    CHECK(inFlight(pool.backends[0]) <= 375);
    CHECK(inFlight(pool.backends[1]) <= 125);
}

TEST_CASE("in slow start a backend takes over more and more of its keys, none goes back",
          "[balance]") {
    PoolView pool = hashPool({1, 1, 1});
    const Instant start{1h};
    std::map<int, std::string> own;
    {
        Chooser settled(pool);
        for (int k = 0; k < 3000; ++k) own[k] = settled.of(k);
    }
    pool.backends[0].ramp_from = start;
    pool.backends[0].ramp = 10s;
    Chooser chooser(pool, start);
    std::map<int, bool> has;
    int last = 0;
    for (int second = 0; second <= 10; ++second) {
        int count = 0;
        for (int k = 0; k < 3000; ++k) {
            const auto chosen = chooser.of(k, start + std::chrono::seconds(second));
            if (own[k] != "a") {
                REQUIRE(chosen == own[k]);
                continue;
            }
            if (has[k]) REQUIRE(chosen == "a");
            has[k] = chosen == "a";
            count += has[k];
        }
        CHECK(count >= last);
        if (second == 5) CHECK((count > 400 && count < 600));
        last = count;
    }
    CHECK(last > 900);
}

TEST_CASE("with nearly all backends down keys still have one each", "[balance]") {
    PoolView pool = hashPool(std::vector<int>(1000, 1));
    for (size_t i = 0; i < 1000; ++i) pool.backends[i].accepting = i % 100 == 0;
    Chooser one(pool), other(pool);
    std::map<std::string, int> count;
    for (int k = 0; k < 2000; ++k) {
        const auto chosen = one.of(k);
        CHECK(chosen == other.of(k));
        ++count[chosen];
    }
    CHECK(count.size() == 10);
}

TEST_CASE("choosing by key allocates nothing", "[balance]") {
    const PoolView pool = hashPool({1, 2, 3});
    Chooser chooser(pool);
    const RequestKey one = key(1);
    const uint64_t before = test::threadAllocations();
    for (int i = 0; i < 100; ++i) chooser.balancer.pick({}, {}, one);
    CHECK(test::threadAllocations() == before);
}
