#include "proxy/control/registry.h"

#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "proxy/recovery/machine.h"
#include "tests/support/control_fixture.h"

using namespace regrow;
using namespace regrow::control;

namespace {

conf::Pool& wiki(conf::Config& config) {
    return config.pools.at("wiki");
}

const recovery::Assignment kReplaced{"spare-1", 4, "r1", configHash(test::server("spare-1", 8003))};

}  // namespace

TEST_CASE("a reload keeps what belongs to a name: slots, counters, health, panic", "[registry]") {
    test::ControlFixture f;
    auto* const place = &f.place("wiki-2");
    const auto slot = place->slot;
    const auto stats = place->stats;
    const auto pool_slot = f.pool().slot;
    const auto pool_stats = f.pool().stats;
    place->health.verdict = health::Verdict::down;
    f.pool().panic.since = f.clock.now();
    auto config = test::wikiConfig();
    std::swap(wiki(config).backends[0], wiki(config).backends[1]);
    wiki(config).backends[0].weight = 9;
    CHECK(f.take(config).empty());
    CHECK(&f.place("wiki-2") == place);
    CHECK(place->slot == slot);
    CHECK(place->stats == stats);
    CHECK(place->health.verdict == health::Verdict::down);
    CHECK(place->conf.weight == 9);
    CHECK(f.pool().places[0].get() == place);
    CHECK(f.pool().slot == pool_slot);
    CHECK(f.pool().stats == pool_stats);
    CHECK(f.pool().panic.panicking());
    CHECK(f.registry->generation() == 2);
    CHECK(f.registry->placeBySlot(slot) == place);
}

TEST_CASE("removed places are handed over; their slots are never given again", "[registry]") {
    test::ControlFixture f;
    std::set<uint32_t> slots{f.pool().slot, f.place("wiki-1").slot, f.place("wiki-2").slot};
    CHECK(slots.size() == 3);
    auto config = test::wikiConfig();
    wiki(config).backends.pop_back();
    auto removed = f.take(config);
    REQUIRE(removed.size() == 1);
    CHECK(removed[0]->name() == "wiki/wiki-2");
    CHECK_FALSE(f.registry->place({"wiki", "wiki-2"}));
    CHECK(f.take(test::wikiConfig()).empty());
    CHECK(slots.insert(f.place("wiki-2").slot).second);
    config.pools.clear();
    removed = f.take(config);
    CHECK(removed.size() == 2);
    CHECK_FALSE(f.registry->pool("wiki"));
    CHECK_FALSE(f.registry->place({"wiki", "wiki-1"}));
    f.take(test::wikiConfig());
    CHECK(slots.insert(f.pool().slot).second);
    CHECK(slots.insert(f.place("wiki-1").slot).second);
}

TEST_CASE("a place of the same name in another pool is another place", "[registry]") {
    auto config = test::wikiConfig();
    config.pools["shop"] = config.pools["wiki"];
    config.pools["shop"].name = "shop";
    test::ControlFixture f(config);
    CHECK(f.registry->place({"shop", "wiki-1"}) != f.registry->place({"wiki", "wiki-1"}));
    REQUIRE(f.journal->assign({"shop", "wiki-1"}, kReplaced));
    CHECK_FALSE(f.registry->filledBy("wiki", "spare-1"));
    CHECK(f.registry->filledBy("shop", "spare-1"));
}

TEST_CASE("a server's hash follows its own definition and nothing else", "[registry]") {
    const auto original = test::server("a", 1);
    const std::vector<std::function<void(conf::Server&)>> edits{
        [](auto& s) { s.name = "b"; },
        [](auto& s) { s.address = Address::loopback(2); },
        [](auto& s) { s.data += "x"; },
        [](auto& s) { s.service.user = "www"; },
        [](auto& s) { s.service.directory = "/"; },
        [](auto& s) { s.service.run.emplace_back("--more"); },
        [](auto& s) { s.service.run = {"/usr/bin/app a"}; },
        [](auto& s) { std::swap(s.service.run, s.service.start); },
        [](auto& s) { s.service.stop = {"stop"}; },
        [](auto& s) { s.service.status = {"stop"}; },
        [](auto& s) { s.service.environment = {"A=b"}; },
    };
    std::set<std::string> hashes{configHash(original)};
    for (size_t i = 0; i < edits.size(); ++i) {
        INFO(i);
        auto edited = original;
        edits[i](edited);
        CHECK(hashes.insert(configHash(edited)).second);
        CHECK(configHash(edited) == configHash(edited));
    }
    auto logged = original;
    logged.service.log = "/var/log/a";
    CHECK(configHash(logged) == configHash(original));  // where it logs is not what it is
}

TEST_CASE("the file says who fills a place until the journal does", "[registry]") {
    test::ControlFixture f;
    CHECK(f.registry->assignment(f.place()).server == "wiki-1");
    CHECK(f.registry->filledBy("wiki", "wiki-1") == &f.place());
    CHECK(f.registry->serverRecord(f.pool(), "wiki-1").state == recovery::ServerState::in_use);
    CHECK(f.registry->serverRecord(f.pool(), "spare-1").state == recovery::ServerState::free);
    REQUIRE(f.journal->assign(f.place().key, kReplaced));
    CHECK(f.registry->filledBy("wiki", "spare-1") == &f.place());
    CHECK_FALSE(f.registry->filledBy("wiki", "wiki-1"));
    CHECK_FALSE(f.registry->filledBy("none", "wiki-1"));
    CHECK(f.registry->filling(f.place())->name == "spare-1");
    CHECK(f.registry->serverRecord(f.pool(), "spare-1").state == recovery::ServerState::in_use);
    // Cut off, and not a spare because of that: its data may exist nowhere else.
    CHECK(f.registry->serverRecord(f.pool(), "wiki-1").state == recovery::ServerState::quarantined);
    REQUIRE(f.journal->server({"wiki", "wiki-1"}, {recovery::ServerState::quarantined, "why", ""}));
    CHECK(f.registry->serverRecord(f.pool(), "wiki-1").state == recovery::ServerState::quarantined);
    f.restart();
    CHECK(f.registry->assignment(f.place()) == kReplaced);
    CHECK(f.registry->serverRecord(f.pool(), "wiki-1").reason == "why");
}

TEST_CASE("a released server is a spare until it fills a place again", "[registry]") {
    test::ControlFixture f;
    REQUIRE(f.journal->assign(f.place().key, kReplaced));
    REQUIRE(f.journal->server({"wiki", "wiki-1"}, {}));
    CHECK(f.registry->serverRecord(f.pool(), "wiki-1").state == recovery::ServerState::free);
    REQUIRE(f.journal->assign(f.place().key, {"wiki-1", 5, "", ""}));
    CHECK(f.registry->serverRecord(f.pool(), "wiki-1").state == recovery::ServerState::in_use);
}

TEST_CASE("a fenced place is filled by nobody", "[registry]") {
    test::ControlFixture f;
    REQUIRE(f.journal->assign(f.place().key, {"", 4, "", ""}));
    CHECK_FALSE(f.registry->filling(f.place()));
    CHECK_FALSE(f.registry->filledBy("wiki", "wiki-1"));
    f.registry->reassignEdited();
    CHECK(f.registry->assignment(f.place()).server.empty());  // and no reload changes that
}

TEST_CASE("a saved assignment survives edits of everything but its server", "[registry]") {
    test::ControlFixture f;
    REQUIRE(f.journal->assign(f.place().key, kReplaced));
    auto config = test::wikiConfig();
    wiki(config).backends[0].server.address = Address::loopback(9);
    wiki(config).backends[0].weight = 3;
    wiki(config).spares[1].data = "/elsewhere";
    wiki(config).slow_start = {};
    f.take(config);
    f.registry->reassignEdited();
    CHECK(f.registry->assignment(f.place()) == kReplaced);
}

TEST_CASE("when the assigned server is gone from the file, the file's own fills the place",
          "[registry]") {
    test::ControlFixture f;
    REQUIRE(f.journal->assign(f.place().key, kReplaced));
    auto config = test::wikiConfig();
    wiki(config).spares.clear();
    f.take(config);
    f.registry->reassignEdited();
    const auto assigned = f.registry->assignment(f.place());
    CHECK(assigned.server == "wiki-1");
    CHECK(assigned.epoch == 4);
    CHECK(assigned.config_hash == configHash(test::server("wiki-1", 8001)));
    f.restart(config);
    CHECK(f.registry->assignment(f.place()) == assigned);
}

TEST_CASE("an edited server keeps its place under its new definition", "[registry]") {
    test::ControlFixture f;
    REQUIRE(f.journal->assign(f.place().key, kReplaced));
    auto config = test::wikiConfig();
    wiki(config).spares[0].service.run.emplace_back("--new");
    f.take(config);
    f.registry->reassignEdited();
    CHECK(f.registry->assignment(f.place()).config_hash == configHash(wiki(config).spares[0]));
    CHECK(f.registry->assignment(f.place()).epoch == 4);
    CHECK(f.registry->filling(f.place())->service.run.back() == "--new");
}

TEST_CASE("a place in recovery is not assigned anew by a reload", "[registry]") {
    test::ControlFixture f;
    REQUIRE(f.journal->assign(f.place().key, kReplaced));
    f.place().recovery = recovery::begin("r1", "wiki", "wiki-1", "spare-1", 4, f.clock.now());
    auto config = test::wikiConfig();
    wiki(config).spares.clear();
    f.take(config);
    f.registry->reassignEdited();
    CHECK(f.registry->assignment(f.place()) == kReplaced);
}

TEST_CASE("spares are known as such, and what a pool can do about a death", "[registry]") {
    auto config = test::wikiConfig();
    test::ControlFixture f(config);
    CHECK(f.pool().isSpare("spare-2"));
    CHECK_FALSE(f.pool().isSpare("wiki-1"));
    CHECK(f.pool().recovers());
    CHECK(f.pool().server("spare-1")->address == Address::loopback(8003));
    CHECK_FALSE(f.pool().server("none"));
    CHECK_FALSE(f.registry->repositoryOf(f.pool()));
    wiki(config).spares.clear();
    f.take(config);
    CHECK_FALSE(f.pool().recovers());
    wiki(config).backup.on = true;
    wiki(config).backup.repositories = {"first", "second"};
    f.take(config);
    CHECK(f.pool().recovers());
    CHECK(f.registry->repositoryOf(f.pool()) == "first");
}
