#include "base/random.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <set>

using namespace regrow;

TEST_CASE("one seed, one sequence", "[random]") {
    Random a(7);
    Random b(7);
    Random c(8);
    bool differs = false;
    for (int i = 0; i < 100; ++i) {
        const uint64_t x = a.next();
        CHECK(x == b.next());
        differs = differs || x != c.next();
    }
    CHECK(differs);
}

TEST_CASE("below reaches every value and none beyond, evenly", "[random]") {
    Random random(1);
    std::array<int, 7> hits{};
    for (int i = 0; i < 70'000; ++i) ++hits.at(random.below(7));
    for (const int n : hits) CHECK((n > 9'500 && n < 10'500));
    for (int i = 0; i < 100; ++i) CHECK(random.below(1) == 0);
}

TEST_CASE("unit is at least 0 and below 1, around a half", "[random]") {
    Random random(2);
    double sum = 0;
    for (int i = 0; i < 100'000; ++i) {
        const double x = random.unit();
        REQUIRE((x >= 0 && x < 1));
        sum += x;
    }
    CHECK(sum / 100'000 == Approx(0.5).margin(0.01));
}

TEST_CASE("the system gives different seeds and bytes", "[random]") {
    std::set<uint64_t> firsts;
    for (int i = 0; i < 10; ++i) firsts.insert(Random::fromSystem().next());
    CHECK(firsts.size() == 10);
    CHECK(secureRandomBytes(32) != secureRandomBytes(32));
    CHECK(secureRandomBytes(0).empty());
}

TEST_CASE("the sequence is that of xoshiro256** seeded by splitmix64", "[random]") {
    Random random(0);  // as published with rand_xoshiro
    CHECK(random.next() == 11091344671253066420U);
    CHECK(random.next() == 13793997310169335082U);
    CHECK(random.next() == 1900383378846508768U);
}
