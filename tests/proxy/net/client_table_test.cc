#include "proxy/net/client_table.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "base/random.h"

using regrow::Random;
using regrow::net::ClientTable;
using regrow::net::Gcra;
using What = ClientTable::What;

namespace {

constexpr int64_t kSecond = 1'000'000'000;

}  // namespace

TEST_CASE("a rate holds over any stretch of time, after a burst", "[limits]") {
    const Gcra rate = Gcra::of(10, 5);
    ClientTable table(1);
    int taken = 0;
    for (int i = 0; i < 20; ++i) taken += table.ask(7, rate, kSecond) == 0;
    CHECK(taken == 5);
    CHECK(table.ask(7, rate, kSecond) == kSecond / 10);  // until the next
    CHECK(table.ask(7, rate, kSecond + kSecond / 10 - 1) == 1);
    CHECK(table.ask(7, rate, kSecond + kSecond / 10) == 0);
    // Two tries a millisecond for ten seconds: refused ones cost nothing, and gain nothing.
    taken = 0;
    for (int i = 0; i < 20'000; ++i)
        taken += table.ask(8, rate, 100 * kSecond + i * (kSecond / 2000)) == 0;
    CHECK(taken == 5 + 99);
    CHECK(table.ask(9, rate, 100 * kSecond) == 0);  // another client
}

TEST_CASE("requests come at their rate however they are spaced", "[limits]") {
    Random random(3);
    const Gcra rate = Gcra::of(100, 20);
    int64_t due = 0, now = kSecond;
    std::vector<int64_t> taken;
    for (int i = 0; i < 20'000; ++i) {
        now += static_cast<int64_t>(random.below(kSecond / 200));
        const auto answer = rate.ask(due, now);
        if (answer.wait == 0) taken.push_back(now);
        due = answer.due;
    }
    // In any second no more than the rate and the burst.
    size_t begin = 0;
    for (size_t i = 0; i < taken.size(); ++i) {
        while (taken[i] - taken[begin] > kSecond) ++begin;
        REQUIRE(i - begin + 1 <= 120);
    }
    CHECK(taken.size() > 4'000);
}

TEST_CASE("connections and requests are counted apart", "[limits]") {
    ClientTable table(1);
    const auto one = table.enter(What::connections, 7, 2, 0);
    const auto two = table.enter(What::connections, 7, 2, 0);
    CHECK((one.allowed && two.allowed));
    CHECK_FALSE(table.enter(What::connections, 7, 2, 0).allowed);
    CHECK(table.enter(What::connections, 8, 2, 0).allowed);
    const auto request = table.enter(What::requests, 7, 1, 0);
    CHECK(request.allowed);
    CHECK_FALSE(table.enter(What::requests, 7, 1, 0).allowed);
    table.leave(What::requests, request.entry);
    CHECK(table.enter(What::requests, 7, 1, 0).allowed);
    table.leave(What::connections, one.entry);
    CHECK(table.enter(What::connections, 7, 2, 0).allowed);
    CHECK_FALSE(table.enter(What::connections, 7, 2, 0).allowed);
    table.leave(What::connections, ClientTable::kNone);  // of one that was not counted
}

TEST_CASE("a flood from other addresses does not wipe a client's slate", "[limits]") {
    ClientTable table(1, 16);  // 128 entries
    const Gcra rate = Gcra::of(1, 100);
    for (int i = 0; i < 100; ++i) CHECK(table.ask(7, rate, kSecond) == 0);
    const auto open = table.enter(What::connections, 8, 1, kSecond);
    for (uint64_t other = 1000; other < 101'000; ++other) table.ask(other, rate, kSecond);
    CHECK(table.ask(7, rate, kSecond) > 0);
    CHECK_FALSE(table.enter(What::connections, 8, 1, kSecond).allowed);
    table.leave(What::connections, open.entry);
}

TEST_CASE("where all have something open a newcomer is let in uncounted", "[limits]") {
    ClientTable table(1, 1);  // 8 entries
    std::vector<ClientTable::Entered> open;
    for (uint64_t client = 0; client < 8; ++client)
        open.push_back(table.enter(What::requests, client, 1, 0));
    const auto late = table.enter(What::requests, 99, 1, 0);
    CHECK(late.allowed);
    CHECK(late.entry == ClientTable::kNone);
    CHECK(table.ask(99, Gcra::of(1, 1), 0) == 0);
    for (uint64_t client = 0; client < 8; ++client)
        CHECK_FALSE(table.enter(What::requests, client, 1, 0).allowed);
    table.leave(What::requests, open[3].entry);
    CHECK(table.enter(What::requests, 99, 1, 0).entry != ClientTable::kNone);
}

TEST_CASE("all workers together stay within the limits", "[limits]") {
    ClientTable table(1, 4);  // so few that clients push each other out
    std::atomic<int> under_way{0}, most{0}, taken{0};
    const Gcra rate = Gcra::of(1, 500);
    const auto work = [&](uint64_t seed) {
        Random random(seed);
        for (int i = 0; i < 20'000; ++i) {
            table.enter(What::requests, 1000 + random.below(100), 0, kSecond);  // pushes
            taken += table.ask(7, rate, kSecond) == 0;
            const auto entered = table.enter(What::requests, 7, 3, kSecond);
            if (!entered.allowed || entered.entry == ClientTable::kNone) continue;
            const int now = ++under_way;
            for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) continue;
            --under_way;
            table.leave(What::requests, entered.entry);
        }
    };
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < 4; ++i) threads.emplace_back(work, i);
    for (auto& t : threads) t.join();
    CHECK(most <= 4);  // a client seen first by two in the same instant has two entries
    CHECK(taken >= 500);
    CHECK(taken <= 1000);
}
