#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <thread>

#include "backup/repository.h"

namespace regrow::test {

// What every repository promises. `make` gives an empty one each time.
inline void checkRepository(const std::function<std::unique_ptr<backup::Repository>()>& make) {
    const auto repository = make();
    backup::Repository& r = *repository;
    const std::string binary("a\0b\xff\n", 5);

    SECTION("what was created is read back, whole and in ranges") {
        REQUIRE(r.create("packs/ab/one", binary).value());
        CHECK(r.getAll("packs/ab/one", 100).value() == binary);
        CHECK(r.get("packs/ab/one", 1, 3).value() == binary.substr(1, 3));
        CHECK(r.get("packs/ab/one", 5, 0).value().empty());
        CHECK(r.stat("packs/ab/one").value()->size == 5);
    }
    SECTION("an existing object is never touched") {
        REQUIRE(r.create("a/b", "first").value());
        CHECK_FALSE(r.create("a/b", "second").value());
        CHECK(r.getAll("a/b", 100).value() == "first");
    }
    SECTION("what is absent is not found, and empty when listed") {
        CHECK(r.getAll("no/such", 10).error().code == Code::not_found);
        CHECK(r.get("no/such", 0, 1).error().code == Code::not_found);
        CHECK_FALSE(r.stat("no/such").value().has_value());
        CHECK(r.list("no").value().empty());
        CHECK(r.remove("no/such").has_value());
    }
    SECTION("reading beyond the end, or more than allowed, is corruption") {
        REQUIRE(r.create("a/b", "12345").value());
        CHECK(r.get("a/b", 0, 6).error().code == Code::corrupt);
        CHECK(r.get("a/b", 6, 1).error().code == Code::corrupt);
        CHECK(r.getAll("a/b", 4).error().code == Code::corrupt);
    }
    SECTION("listing is by folder, deep, ascending") {
        for (const char* name : {"s/b/2", "s/a/1", "s/b/1", "sx/1", "t"})
            REQUIRE(r.create(name, "x").value());
        const auto listed = r.list("s").value();
        REQUIRE(listed.size() == 3);
        CHECK(listed[0].name == "s/a/1");
        CHECK(listed[1].name == "s/b/1");
        CHECK(listed[2].name == "s/b/2");
        CHECK(r.list("s/b").value().size() == 2);
    }
    SECTION("removed is gone, and its name is free again") {
        REQUIRE(r.create("a/b", "1").value());
        REQUIRE(r.remove("a/b").has_value());
        CHECK(r.list("a").value().empty());
        CHECK(r.create("a/b", "2").value());
    }
    SECTION("an empty object is an object") {
        REQUIRE(r.create("a/b", "").value());
        CHECK(r.getAll("a/b", 0).value().empty());
        CHECK(r.list("a").value().size() == 1);
    }
    SECTION("of many that create one name at once, one wins") {
        std::atomic<int> winners{0};
        std::vector<std::thread> threads;
        threads.reserve(4);
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&, t] {
                for (int i = 0; i < 25; ++i)
                    if (r.create("n/" + std::to_string(i), std::to_string(t)).value_or(false))
                        ++winners;
            });
        for (auto& t : threads) t.join();
        CHECK(winners == 25);
        CHECK(r.list("n").value().size() == 25);
    }
}

}  // namespace regrow::test
