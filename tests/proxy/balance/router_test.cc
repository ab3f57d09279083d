#include "proxy/balance/router.h"

#include <catch2/catch.hpp>

#include "base/random.h"
#include "tests/support/allocation_counter.h"

using namespace regrow;

namespace {

constexpr uint32_t kNoRoute = UINT32_MAX;

uint32_t route(const Router& router, std::string_view host, std::string_view path) {
    return router.route(host, path).value_or(kNoRoute);
}

// The definition, in order.
uint32_t firstMatch(const std::vector<RouteRule>& rules, const std::string& host,
                    const std::string& path) {
    for (const auto& r : rules)
        if ((r.host == "*" || r.host == host) && path.starts_with(r.path)) return r.pool;
    return kNoRoute;
}

}  // namespace

TEST_CASE("the first route that matches wins", "[balance]") {
    const Router router({{"a.example", "/api/", 0},
                         {"*", "/api", 1},
                         {"a.example", "/", 2},
                         {"b.example", "/", 3}});
    CHECK(route(router, "a.example", "/api/x") == 0);
    CHECK(route(router, "a.example", "/api") == 1);
    CHECK(route(router, "a.example", "/") == 2);
    CHECK(route(router, "b.example", "/api/x") == 1);
    CHECK(route(router, "b.example", "/x") == 3);
    CHECK(route(router, "c.example", "/api/x") == 1);
    CHECK(route(router, "c.example", "/x") == kNoRoute);
    CHECK(route(router, "", "/api") == 1);
}

TEST_CASE("a general route before a special one hides it", "[balance]") {
    const Router router({{"*", "/", 0}, {"*", "/admin", 1}, {"h", "/admin", 2}});
    CHECK(route(router, "h", "/admin") == 0);
}

TEST_CASE("hosts are compared without case, with one trailing dot", "[balance]") {
    const Router router({{"wiki.example", "/", 7}});
    CHECK(route(router, "WIKI.Example", "/") == 7);
    CHECK(route(router, "wiki.example.", "/") == 7);
    CHECK(route(router, "wiki.example..", "/") == kNoRoute);
    CHECK(route(router, "xwiki.example", "/") == kNoRoute);
}

TEST_CASE("a path is a literal prefix, encoded or not", "[balance]") {
    const Router router(
        {{"*", "/app/", 0}, {"*", "/caf%C3%A9", 1}, {"*", "/a%2Fb", 2}, {"*", "/ap", 3}});
    CHECK(route(router, "h", "/app/x") == 0);
    CHECK(route(router, "h", "/%61%70p/x") == 0);
    CHECK(route(router, "h", "/apple") == 3);
    CHECK(route(router, "h", "/app%2Fx") == 3);  // an encoded slash is no slash
    CHECK(route(router, "h", "/caf%C3%A9/x") == 1);
    CHECK(route(router, "h", "/a%2Fb") == 2);
    CHECK(route(router, "h", "/a/b") == kNoRoute);
    CHECK(route(router, "h", "/a%") == kNoRoute);
}

TEST_CASE("OPTIONS * goes where / goes", "[balance]") {
    CHECK(route(Router({{"*", "/", 4}}), "h", "*") == 4);
    CHECK(route(Router({{"*", "/x", 4}}), "h", "*") == kNoRoute);
    CHECK(route(Router({}), "h", "/") == kNoRoute);
}

TEST_CASE("the compiled router agrees with first match, on random routes", "[balance]") {
    Random random(4);
    const std::vector<std::string> hosts = {"*", "a", "b", "c"};
    const auto path = [&] {
        std::string p = "/";
        for (uint64_t n = random.below(6); n > 0; --n) p += "ab/"[random.below(3)];
        return p;
    };
    for (int round = 0; round < 300; ++round) {
        std::vector<RouteRule> rules;
        for (uint32_t i = 0; i < random.below(30); ++i)
            rules.push_back({hosts[random.below(4)], path(), i});
        const Router router(rules);
        for (int i = 0; i < 60; ++i) {
            const std::string host = hosts[1 + random.below(3)], p = path();
            INFO(host << p);
            REQUIRE(route(router, host, p) == firstMatch(rules, host, p));
        }
    }
}

TEST_CASE("routing allocates nothing", "[balance]") {
    const Router router(
        {{"a-host-name-longer-than-a-small-string.example", "/", 1}, {"*", "/x", 2}});
    const uint64_t before = test::threadAllocations();
    const bool found =
        router.route("A-host-name-longer-than-a-small-string.example", "/%78").has_value();
    CHECK(test::threadAllocations() == before);
    CHECK(found);
}
