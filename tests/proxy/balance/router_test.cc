#include "proxy/balance/router.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/random.h"
#include "tests/support/allocation_counter.h"

using namespace regrow;

namespace {

constexpr uint32_t kNoRoute = UINT32_MAX;

uint32_t route(const Router& router, std::string_view host, std::string_view path) {
    return router.route(host, path).value_or(kNoRoute);
}

RouteRule rule(std::string host, std::string path) {
    return {.host = std::move(host), .path = std::move(path)};
}

struct Asked {
    std::string host, path, method = "GET";
    http::FieldList fields = {};

    RouteQuery query() const { return {host, path, http::methodOf(method), method, &fields}; }
};

void addField(http::FieldList& fields, std::string_view name, std::string_view value) {
    fields.add({.name_data = name.data(),
                .value_data = value.data(),
                .value_size = static_cast<uint32_t>(value.size()),
                .name_size = static_cast<uint16_t>(name.size())});
}

bool hostMatches(const std::string& wanted, const std::string& host) {
    if (wanted == "*" || wanted == host) return true;
    const std::string below = wanted.substr(1);
    return wanted.starts_with("*.") && host.size() > below.size() && host.ends_with(below);
}

bool headersMatch(const RouteRule& r, const Asked& asked) {
    for (const auto& [name, value] : r.headers) {
        const http::Field* field = asked.fields.find(name);
        if (!field || (value != "*" && field->value() != value)) return false;
    }
    return true;
}

// The definition, in order.
uint32_t firstMatch(const std::vector<RouteRule>& rules, const Asked& asked) {
    for (uint32_t i = 0; i < rules.size(); ++i) {
        const RouteRule& r = rules[i];
        const bool path = r.exact ? asked.path == r.path : asked.path.starts_with(r.path);
        const bool method = r.methods.empty() || std::ranges::count(r.methods, asked.method) > 0;
        if (hostMatches(r.host, asked.host) && path && method && headersMatch(r, asked)) return i;
    }
    return kNoRoute;
}

}  // namespace

TEST_CASE("the first route that matches wins", "[balance]") {
    const Router router({rule("a.example", "/api/"), rule("*", "/api"), rule("a.example", "/"),
                         rule("b.example", "/")});
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
    const Router router({rule("*", "/"), rule("*", "/admin"), rule("h", "/admin")});
    CHECK(route(router, "h", "/admin") == 0);
}

TEST_CASE("hosts are compared without case, with one trailing dot", "[balance]") {
    const Router router({rule("wiki.example", "/")});
    CHECK(route(router, "WIKI.Example", "/") == 0);
    CHECK(route(router, "wiki.example.", "/") == 0);
    CHECK(route(router, "wiki.example..", "/") == kNoRoute);
    CHECK(route(router, "xwiki.example", "/") == kNoRoute);
}

TEST_CASE("a path is a literal prefix, encoded or not", "[balance]") {
    const Router router(
        {rule("*", "/app/"), rule("*", "/caf%C3%A9"), rule("*", "/a%2Fb"), rule("*", "/ap")});
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
    CHECK(route(Router({rule("*", "/")}), "h", "*") == 0);
    CHECK(route(Router({rule("*", "/x")}), "h", "*") == kNoRoute);
    CHECK(route(Router({}), "h", "/") == kNoRoute);
}

TEST_CASE("an exact path is the whole path, encoded or not", "[balance]") {
    const Router router({{.path = "/robots.txt", .exact = true}, rule("*", "/r")});
    CHECK(route(router, "h", "/robots.txt") == 0);
    CHECK(route(router, "h", "/%72obots.txt") == 0);
    CHECK(route(router, "h", "/robots.txt/") == 1);
    CHECK(route(router, "h", "/robots.tx") == 1);
    CHECK(route(router, "h", "/") == kNoRoute);
}

TEST_CASE("a wildcard stands for every host below a name", "[balance]") {
    const Router router({rule("*.example.org", "/"), rule("www.example.org", "/"),
                         rule("*.a.b.example.org", "/x"), rule("example.org", "/")});
    CHECK(route(router, "www.example.org", "/") == 0);
    CHECK(route(router, "A.B.Example.Org.", "/x") == 0);
    CHECK(route(router, "example.org", "/") == 3);
    CHECK(route(router, "example.org.", "/") == 3);
    CHECK(route(router, "badexample.org", "/") == kNoRoute);
    CHECK(route(router, ".example.org", "/") == kNoRoute);
    CHECK(route(router, std::string(300, 'a') + ".example.org", "/") == kNoRoute);
}

TEST_CASE("methods and headers are asked for where host and path match", "[balance]") {
    const Router router({{.path = "/a", .methods = {"POST", "PURGE"}},
                         {.path = "/a", .headers = {{"X-Beta", "1"}}},
                         {.path = "/", .methods = {"GET"}, .headers = {{"x-any", "*"}}},
                         {.path = "/a", .methods = {}},
                         {.path = "/a", .methods = {"GET"}}});
    Asked asked{.host = "h", .path = "/a"};
    CHECK(router.route(asked.query()) == 3);
    asked.method = "PURGE";
    CHECK(router.route(asked.query()) == 0);
    asked.method = "MERGE";
    CHECK(router.route(asked.query()) == 3);
    asked.method = "GET";
    addField(asked.fields, "X-Beta", "2");
    CHECK(router.route(asked.query()) == 3);
    addField(asked.fields, "X-ANY", "");
    CHECK(router.route(asked.query()) == 2);
    addField(asked.fields, "x-beta", "1");
    CHECK(router.route(asked.query()) == 1);
    asked.fields.begin()[2].drop = true;
    CHECK(router.route(asked.query()) == 2);
}

TEST_CASE("where a request came from is asked only of who may say it", "[balance]") {
    const Router router({{.path = "/", .headers = {{"X-Forwarded-Proto", "http"}}},
                         {.path = "/", .headers = {{"X-Client-Cert-Verify", "SUCCESS"}}},
                         {.path = "/"}});
    const auto trust = proxy::ProxyTrust::parse({"10.0.0.0/8"}).value();
    const proxy::ClientIdentity anybody(Address::parse("192.0.2.1:5").value(), false, trust);
    const proxy::ClientIdentity trusted(Address::parse("10.0.0.1:5").value(), false, trust);
    const auto routed = [&](const char* name, const char* value,
                            const proxy::ClientIdentity& client) {
        Asked asked{.host = "h", .path = "/"};
        addField(asked.fields, name, value);
        asked.fields.begin()->id = http::fieldIdOf(name);
        RouteQuery query = asked.query();
        query.client = &client;
        return router.route(query);
    };
    CHECK(routed("X-Forwarded-Proto", "http", anybody) == 2);
    CHECK(routed("X-Forwarded-Proto", "http", trusted) == 0);
    CHECK(routed("X-Client-Cert-Verify", "SUCCESS", anybody) == 2);
    CHECK(routed("X-Client-Cert-Verify", "SUCCESS", trusted) == 1);
}

TEST_CASE("the compiled router agrees with first match, on random routes", "[balance]") {
    Random random(4);
    const std::vector<std::string> hosts = {"*",     "a.b", "b",     "c.a.b", "*.b",
                                            "*.a.b", "*.c", "d.c.b", "x.b"};
    const auto one = [&](const std::vector<std::string>& of) {
        return of[random.below(of.size())];
    };
    const auto path = [&] {
        std::string p = "/";
        for (uint64_t n = random.below(6); n > 0; --n) p += "ab/"[random.below(3)];
        return p;
    };
    for (int round = 0; round < 300; ++round) {
        std::vector<RouteRule> rules;
        for (uint64_t n = random.below(40); n > 0; --n) {
            RouteRule& r = rules.emplace_back(rule(one(hosts), path()));
            r.exact = random.below(4) == 0;
            if (random.below(3) == 0) r.methods = {one({"GET", "POST", "PURGE"})};
            if (random.below(3) == 0) r.headers = {{one({"x", "y"}), one({"1", "*"})}};
        }
        const Router router(rules);
        for (int i = 0; i < 80; ++i) {
            Asked asked{
                .host = one(hosts), .path = path(), .method = one({"GET", "POST", "PURGE"})};
            if (asked.host[0] == '*') asked.host[0] = 'z';
            if (random.below(2) == 0) addField(asked.fields, "x", random.below(2) == 0 ? "1" : "2");
            if (random.below(2) == 0) addField(asked.fields, "Y", "1");
            INFO(asked.method << ' ' << asked.host << asked.path);
            REQUIRE(router.route(asked.query()).value_or(kNoRoute) == firstMatch(rules, asked));
        }
    }
}

TEST_CASE("routing allocates nothing", "[balance]") {
    const Router router({{.host = "a-host-name-longer-than-a-small-string.example",
                          .path = "/a-path-longer-than-a-small-string",
                          .exact = true},
                         {.host = "*.example", .path = "/x", .methods = {"GET"}}});
    const uint64_t before = test::threadAllocations();
    const bool found = router
                           .route("A-host-name-longer-than-a-small-string.example",
                                  "/%61-path-longer-than-a-small-string")
                           .has_value();
    const bool below = router.route("b.example", "/%78").has_value();
    CHECK(test::threadAllocations() == before);
    CHECK(found);
    CHECK(below);
}
