#include "conf/load.h"

#include <catch2/catch.hpp>

#include "tests/conf/yaml.h"

using namespace regrow;
using namespace regrow::conf;
using namespace regrow::conf::test;
using namespace std::chrono_literals;

namespace {

Config good(const std::string& yaml) {
    INFO(complaints(yaml));
    auto config = parse(yaml, "f");
    REQUIRE(config.has_value());
    return *config;
}

Config example(const std::string& name) {
    auto config = load(sourceFile("conf/examples/" + name));
    if (!config)
        for (const auto& problem : config.error()) UNSCOPED_INFO(problem.text());
    REQUIRE(config.has_value());
    return *config;
}

}  // namespace

TEST_CASE("the minimal example is a configuration, and all else is default") {
    const Config config = example("minimal.yaml");
    Config expected;
    expected.file = config.file;
    Listener listener;
    listener.listen = *Address::parse("127.0.0.1:8080");
    listener.routes = {{"*", "/", "app"}};
    expected.listeners = {listener};
    Backend backend;
    backend.name = "app-1";
    backend.server.name = "app-1";
    backend.server.address = *Address::parse("127.0.0.1:9001");
    Pool pool;
    pool.name = "app";
    pool.backends = {backend};
    pool.recovery.warm_ramp = 10s;
    expected.pools["app"] = pool;
    CHECK(config == expected);
}

TEST_CASE("the other examples are configurations, but for files that are not here") {
    for (const auto* const name : {"tls.yaml", "grpc.yaml", "tcp.yaml"}) {
        const auto config = load(sourceFile("conf/examples/" + std::string(name)));
        if (config) continue;
        for (const auto& problem : config.error())
            CHECK(problem.text().find("No such file or directory") != std::string::npos);
    }
}

TEST_CASE("the full example sets what it says") {
    const Config config = example("full.yaml");
    CHECK(config.workers == 2);
    CHECK(config.admin.token_file == "/etc/regrow/admin.token");
    CHECK(config.access_log.on);
    CHECK(config.access_log.path == "/var/log/regrow/access.log");
    REQUIRE(config.listeners.size() == 3);
    CHECK(config.listeners[0].trusted_proxies ==
          std::vector<std::string>{"10.0.0.0/8", "fd00::/8"});
    CHECK(config.listeners[0].routes[0].host == "static.example.org");
    CHECK(config.listeners[1].listen.text() == "unix:/run/regrow-http.sock");
    CHECK(config.repositories.at("main").key_file == "/etc/regrow/backup.key");
}

TEST_CASE("the full example's stateful pool") {
    const Config config = example("full.yaml");
    const Pool& wiki = config.pools.at("wiki");
    REQUIRE(wiki.checks.size() == 2);
    CHECK(wiki.checks[0].kind == CheckKind::http);
    CHECK(wiki.checks[0].http_path == "/healthz");
    CHECK(wiki.checks[1].kind == CheckKind::command);
    CHECK(wiki.checks[1].command == Argv{"/usr/local/bin/wiki-check", "--quick"});
    CHECK(wiki.checks[1].every == 30s);
    const Server& server = wiki.backends[0].server;
    CHECK(wiki.backends[0].name == "wiki-1");
    CHECK(server.name == "box-a");
    CHECK(server.service.run[2] == "9001");
    CHECK(server.service.environment ==
          std::vector<std::string>{"WIKI_MODE=production", "WIKI_THREADS=4"});
    CHECK(wiki.spares[0].service.restart == 0);
    CHECK(wiki.backup.on);
    CHECK(wiki.backup.repositories == std::vector<std::string>{"main"});
    CHECK(wiki.recovery.notify == std::vector<Argv>{{"/usr/local/bin/page-me", "wiki"}});
    CHECK(wiki.recovery.prepare->timeout == 10s);
    CHECK(wiki.recovery.fence->argv == Argv{"/usr/local/bin/fence"});
}

TEST_CASE("the full example's stateless pool, where off means off") {
    const Config config = example("full.yaml");
    const Pool& pool = config.pools.at("static");
    CHECK(pool.data == DataKind::none);
    CHECK(pool.balance == Balance::hash);
    CHECK(pool.hash == HashKey{HashOn::cookie, "session", 1.25});
    CHECK(pool.affinity_cookie == "regrow_static");
    CHECK(pool.checks == std::vector<Check>{Check{}});
    CHECK_FALSE(pool.observe.on);
    CHECK_FALSE(pool.hold.on);
    CHECK(pool.slow_start == 0s);
    CHECK(pool.backends[1].server.service.foreign());
}

TEST_CASE("values that take a keyword beside their form") {
    CHECK(good(withTop("workers: auto")).workers == 0);
    CHECK(good(withTop("workers: 7")).workers == 7);
    CHECK_FALSE(good(withTop("admin: {listen: off}")).admin.listen.has_value());
    CHECK_FALSE(good(withTop("access_log: off")).access_log.on);
    CHECK(good(withPool(kBackend + "check: {tcp: , every: 100ms}"))
              .pools.at("app")
              .checks[0]
              .timeout == 100ms);
    CHECK_FALSE(good(withPool(kBackend + "backup: off")).pools.at("app").backup.on);
}

TEST_CASE("retry.on names all that is retried") {
    const auto retry =
        good(withPool(kBackend + "retry: {on: [5xx], budget: 12.5%}")).pools.at("app").retry;
    CHECK(retry.on_5xx);
    CHECK_FALSE(retry.unsent);
    CHECK_FALSE(retry.no_answer);
    CHECK_FALSE(retry.on_503);
    CHECK(retry.budget == Approx(0.125));
}

TEST_CASE("an anchor and its alias stand for the same value") {
    const auto pool =
        good(withPool(
                 "backends:\n  - {name: a, address: 127.0.0.1:9001, service: &s {run: [app, 1]}}\n"
                 "  - {name: b, address: 127.0.0.1:9002, service: *s}"))
            .pools.at("app");
    CHECK(pool.backends[1].server.service.run == Argv{"app", "1"});
}

TEST_CASE("a host is compared in lower case") {
    const auto config = good(
        "listeners: [{listen: 127.0.0.1:8080, routes: [{host: Wiki.Example.ORG, pool: a}]}]\n"
        "pools: {a: {backends: [{name: a, address: 127.0.0.1:1}]}}");
    CHECK(config.listeners[0].routes[0].host == "wiki.example.org");
}

TEST_CASE("what cannot be read is said with its name") {
    const auto missing = load("/nonexistent/regrow.yaml");
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error()[0].text().starts_with("/nonexistent/regrow.yaml: cannot be read: "));
    CHECK_FALSE(load("/").has_value());
}
