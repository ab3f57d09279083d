#include <catch2/catch.hpp>

#include "base/file.h"
#include "tests/conf/yaml.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::conf;
using namespace regrow::conf::test;

namespace {

// The routes of a listener, one flow map each; they begin in line 2.
std::string routes(const std::string& maps, const std::string& more = "") {
    return "listeners: [{listen: 127.0.0.1:80, routes: [\n" + maps + "]" + more +
           "}]\npools: {a: {backends: [{name: a, address: 127.0.0.1:1}]}}";
}

std::string said(const std::string& maps) {
    return complaints(routes(maps));
}

bool says(const std::string& map, const std::string& what) {
    const std::string all = said(map);
    INFO(map << "\n" << all);
    CHECK(all.find(what) != std::string::npos);
    return all.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("a route with everything is read") {
    const auto config = parse(
        routes(
            "{host: '*.Example.org', exact: /x, method: [GET, PURGE], header: {X-A: '*'}, pool: a, "
            "rewrite: {prefix: /y}, request_headers: {set: {Host: b}, remove: [Cookie]}, "
            "response_headers: {add: {X-B: 'c d'}}, timeouts: {idle: 5m}, "
            "retry: {attempts: 1, on: [unsent]}, max_body: 1MiB, "
            "basic_auth: {users_file: /u, pass: true}, allow: [10.0.0.0/8, unix], "
            "deny: ['fd00::/8'], error_pages: {503: /p.html, 5xx: /q.txt}}"),
        "f");
    REQUIRE(config.has_value());
    const Route& route = config->listeners[0].routes[0];
    CHECK(route.host == "*.example.org");
    CHECK(route.exact);
    CHECK(route.methods == std::vector<std::string>{"GET", "PURGE"});
    CHECK(route.headers == Fields{{"X-A", "*"}});
    CHECK(route.rewrite == "/y");
    CHECK(route.request_headers.set == Fields{{"Host", "b"}});
    CHECK(route.idle == std::chrono::minutes(5));
    CHECK_FALSE(route.first_byte);
    CHECK(route.attempts == 1);
    CHECK(route.retry_on->unsent);
    CHECK_FALSE(route.retry_on->no_answer);
    CHECK(route.max_body == uint64_t{1} << 20);
    CHECK(route.basic_auth->pass);
    CHECK(route.error_pages.size() == 2);
}

TEST_CASE("a route leads to exactly one thing") {
    says("{path: /x}",
         "2:1: listeners[0].routes[0] leads nowhere; add one of 'pool', 'redirect' "
         "and 'respond'");
    says("{pool: a, respond: {}}", "has more than one of");
    says("{redirect: {to: /x}, rewrite: {prefix: /}}", "rewrite is for requests that go to a pool");
    says("{path: /x, exact: /y, pool: a}", "path stands beside exact");
    says("[]", "must be a map");
}

TEST_CASE("what a route says wrongly is named with the remedy") {
    says("{host: 'a.*', pool: a}", "must be a host name without port");
    says("{method: get, pool: a}", "methods are told apart by case");
    says("{header: {'X A': x}, pool: a}", "holds 'X A', which is no field name");
    for (const auto* host : {"a..org", "*.", "..", ".a"})
        says("{host: '" + std::string(host) + "', pool: a}", "must be a host name without port");
    for (const auto* path : {"/../x", "/a/%2e%2e/", "/%zz", "/a\\b"})
        says("{path: '" + std::string(path) + "', pool: a}", "no path that a request can have");
    CHECK(said("{path: /., pool: a}, {exact: /.well-known, pool: a}").find("no path") ==
          std::string::npos);  // a prefix may go on
    says("{exact: /., pool: a}", "no path that a request can have");
    says("{method: TRACE, pool: a}", "answers with 405");
    says("{header: {Connection: '*'}, pool: a}", "concerns one connection");
    says("{header: {X-A: ' 1'}, pool: a}", "blanks around it");
    says("{redirect: {to: '//x'}}", "redirect.to is wrong: what follows the first '/'");
    says("{redirect: {to: /x, status: 200}}", "redirect.status must be 301, 302, 303, 307, 308");
    says("{respond: {status: 204, body: x}}", "cannot be sent with 204");
    says("{respond: {status: 205, body: x}}", "cannot be sent with 205");
    says("{path: /app, pool: a, rewrite: {prefix: /}}", "needs a path that ends with '/'");
    says("{path: /app/, pool: a, rewrite: {prefix: /x}}", "prefix must end with '/'");
    says("{path: /app/, pool: a, rewrite: {prefix: /../}}", "must not hold '.' or '..'");
    says("{pool: a, request_headers: {set: {Content-Length: '1'}}}", "Content-Length, which says");
    says("{pool: a, request_headers: {add: {X_Forwarded_For: x}}}", "where a message came from");
    says("{pool: a, request_headers: {set: {X-Client-Cert-Verify: x}}}", "where a message came");
    says("{pool: a, request_headers: {add: {Host: x}}}", "two Host fields; use set");
    says("{pool: a, request_headers: {remove: [Host]}}", "every request has; use set");
    says("{pool: a, request_headers: {set: {X-A: a, x-a: b}}}", "holds x-a twice");
    says("{pool: a, response_headers: {remove: [Connection]}}", "concerns one connection");
    says("{pool: a, response_headers: {set: {X-A: \"a\\r\\nb\"}}}", "line ends or control");
    says("{pool: a, basic_auth: {users_file: /u, realm: 'a\"b'}}", "realm must be one line");
    says("{pool: a, basic_auth: {}}", "users_file is missing");
    says("{pool: a, deny: [10.0.0.1/8]}", "deny[0] is wrong");
    says("{pool: a, max_body: lots}", "max_body is wrong");
    says("{pool: a, error_pages: {200: /x.html}}", "write a status from 400 to 599, 4xx or 5xx");
    says("{pool: a, error_pages: {503: /x.exe}}", "must end with .html");
    says("{pool: a, error_pages: {503: x.html}}", "not an absolute path");
}

TEST_CASE("a route is hidden only by one that takes all it takes") {
    const std::string hidden = "routes[1] is never reached";
    says("{host: '*.org', pool: a}, {host: a.b.org, pool: a}", hidden);
    says("{exact: /x, pool: a}, {exact: /x, method: GET, pool: a}", hidden);
    says("{path: /app, pool: a}, {path: /apple, pool: a}", hidden);
    says("{path: /app, pool: a}, {exact: /apple/x, pool: a}", hidden);
    says("{host: a.org, pool: a}, {host: a.org., pool: a}", hidden);
    says("{header: {X: '*'}, pool: a}, {header: {x: '1'}, method: GET, pool: a}", hidden);
    says("{method: [GET, PUT], pool: a}, {method: PUT, path: /x, pool: a}", hidden);
    CHECK(said("{method: GET, pool: a}, {pool: a}").empty());
    CHECK(said("{header: {X: '1'}, pool: a}, {header: {X: '*'}, pool: a}").empty());
    CHECK(said("{exact: /, pool: a}, {path: /, pool: a}").empty());
    CHECK(said("{host: '*.org', pool: a}, {host: org, pool: a}").empty());
    CHECK(said("{host: b.org, pool: a}, {host: '*.org', pool: a}").empty());
}

TEST_CASE("files that routes name are read when the configuration will be run") {
    const regrow::test::TempDir dir;
    const auto text = routes("{pool: a, basic_auth: {users_file: " + dir.path() +
                                 "/users}, error_pages: {503: " + dir.path() + "/p.html}}",
                             "");
    CHECK(parse(text, "f").has_value());
    const auto missing = parse(text, "f", Depth::files);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().size() == 2);
    REQUIRE(writeFileAtomic(dir.path() + "/users", "anna:secret\n").has_value());
    REQUIRE(writeFileAtomic(dir.path() + "/p.html", "x").has_value());
    const auto weak = parse(text, "f", Depth::files);
    REQUIRE_FALSE(weak.has_value());
    CHECK(weak.error()[0].text().find("users_file cannot be used") != std::string::npos);
}
