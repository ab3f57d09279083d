#include "proxy/control/counters.h"

#include <catch2/catch.hpp>

#include "base/file.h"
#include "tests/support/control_fixture.h"

using namespace regrow;
using namespace regrow::control;

namespace {

struct Counting {
    test::ControlFixture f;
    std::string path = f.dir / "counters.json";
    Counting() {
        ListenerState listener;
        listener.conf.listen = Address::loopback(80);
        listener.stats = std::make_shared<ListenerStats>(2);
        f.registry->listeners().push_back(std::move(listener));
    }
    void count() {
        f.place().stats->shards[0].requests.add(3);
        f.place().stats->shards[1].requests.add(4);
        f.place().stats->shards[1].bytes_out.add(100);
        f.place().stats->shards[0].stalls.add(1);
        f.place().stats->shards[1].stalls.add(1);
        f.pool().stats->shards[0].retries.add(2);
        f.registry->listeners()[0].stats->shards[1].bad_requests.add(5);
    }
};

}  // namespace

TEST_CASE("totals are sums over the workers", "[counters]") {
    Counting c;
    c.count();
    const auto counters = Counters::load(c.path);
    CHECK(counters.backend(c.f.place()).at("requests") == 7);
    CHECK(counters.backend(c.f.place()).at("bytes_out") == 100);
    CHECK(counters.backend(c.f.place()).at("stalls") == 2);
    CHECK(counters.backend(c.f.place()).at("resets") == 0);
    CHECK(counters.backend(c.f.place("wiki-2")).at("requests") == 0);
    CHECK(counters.pool(c.f.pool()).at("retries") == 2);
    CHECK(counters.listener(c.f.registry->listeners()[0]).at("bad_requests") == 5);
}

TEST_CASE("totals survive restarts, each one adding to those before", "[counters]") {
    const test::TempDir dir;
    for (uint64_t run = 1; run <= 3; ++run) {
        Counting c;
        c.count();
        auto counters = Counters::load(dir / "counters.json");
        CHECK(counters.backend(c.f.place()).at("requests") == 7 * run);
        CHECK(counters.pool(c.f.pool()).at("retries") == 2 * run);
        CHECK(counters.listener(c.f.registry->listeners()[0]).at("bad_requests") == 5 * run);
        REQUIRE(counters.save(*c.f.registry));
        REQUIRE(counters.save(*c.f.registry));  // saving twice counts nothing twice
    }
}

TEST_CASE("recoveries are counted once each, also those that the journal has let go of",
          "[counters]") {
    Counting c;
    uint64_t ended = 0;
    const auto end = [&](const std::string& result) {
        recovery::PastRecovery past;
        past.id = "r" + std::to_string(++ended);
        past.backend = "wiki-1";
        past.result = result;
        REQUIRE(c.f.journal->endRecovery(c.f.place().key, past, {}, {}));
    };
    const auto many = recovery::kPastRecoveriesPerPool;
    end("failed");
    auto counters = Counters::load(c.path);
    CHECK(counters.recoveries(*c.f.registry, "wiki").at("failed") == 1);
    for (size_t i = 0; i < many; ++i) {
        end("done");
        if (i % 7 == 0) REQUIRE(counters.save(*c.f.registry));
    }
    REQUIRE(c.f.journal->saved().past.at("wiki").front().result == "done");
    for (int run = 0; run < 2; ++run) {
        const auto totals = counters.recoveries(*c.f.registry, "wiki");
        CHECK(totals.at("failed") == 1);
        CHECK(totals.at("done") == many);
        REQUIRE(counters.save(*c.f.registry));
        counters = Counters::load(c.path);  // the next run
    }
    CHECK(counters.recoveries(*c.f.registry, "shop").empty());
}

TEST_CASE("a file that cannot be understood begins counting anew", "[counters]") {
    Counting c;
    for (const auto* text : {"", "[]", "{\"backend wiki/wiki-1\":7}",
                             "{\"backend wiki/wiki-1\":{\"requests\":-1}}", "{cut"}) {
        INFO(text);
        REQUIRE(writeFileAtomic(c.path, text));
        CHECK(Counters::load(c.path).backend(c.f.place()).at("requests") == 0);
    }
}

TEST_CASE("saving where nothing can be written is an error that names the file", "[counters]") {
    Counting c;
    const auto saved = Counters::load(c.f.dir / "none/counters.json").save(*c.f.registry);
    REQUIRE_FALSE(saved);
    CHECK_THAT(saved.error().message, Catch::Contains("none/counters.json"));
}
