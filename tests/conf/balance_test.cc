#include <catch2/catch.hpp>

#include "tests/conf/yaml.h"

using namespace regrow::conf;
using namespace regrow::conf::test;

namespace {

Pool poolWith(const std::string& keys) {
    const auto config = parse(withPool(keys + "\n" + kBackend), "f");
    INFO(complaints(withPool(keys + "\n" + kBackend)));
    REQUIRE(config.has_value());
    return config->pools.at("app");
}

}  // namespace

TEST_CASE("every way of balancing is a word, but for hash") {
    CHECK(poolWith("balance: round_robin").balance == Balance::round_robin);
    CHECK(poolWith("balance: least_requests").balance == Balance::least_requests);
    CHECK(poolWith("balance: random_two").balance == Balance::random_two);
    CHECK(poolWith("balance: ewma").balance == Balance::ewma);
    const Pool pool = poolWith("balance: {hash: {on: header X-User, bound: 150%}}");
    CHECK(pool.balance == Balance::hash);
    CHECK(pool.hash == HashKey{HashOn::header, "X-User", 1.5});
    CHECK(poolWith("balance: {hash: {on: ip}}").hash == HashKey{HashOn::ip, "", 1.25});
    CHECK(poolWith("balance: {hash: {on: path}}").hash.on == HashOn::path);
    CHECK(poolWith("balance: {hash: {on: cookie sid}}").hash ==
          HashKey{HashOn::cookie, "sid", 1.25});
}

TEST_CASE("affinity and priority") {
    CHECK(poolWith("affinity: {cookie: app_id}").affinity_cookie == "app_id");
    CHECK(poolWith("affinity: off").affinity_cookie.empty());
    const auto config =
        parse(withPool("backends: [{name: a, address: 127.0.0.1:9001, priority: 2}]"), "f");
    REQUIRE(config.has_value());
    CHECK(config->pools.at("app").backends[0].priority == 2);
}

TEST_CASE("a way of balancing that nobody knows says which there are") {
    const auto [keys, said] = GENERATE(table<std::string, std::string>({
        {"balance: hash",
         "5:14: pools.app.balance needs to know what it goes by; write "
         "{hash: {on: ip}}"},
        {"balance: least_request", "did you mean 'least_requests'?"},
        {"balance: {hash: {}}", "pools.app.balance.hash.on is missing"},
        {"balance: {hsh: {on: ip}}", "did you mean 'hash'?"},
        {"balance: {hash: {on: adress}}",
         "must be ip, path, header NAME or cookie NAME, not 'adress'"},
        {"balance: {hash: {on: ip x}}", "must be ip, path, header NAME or cookie NAME, not 'ip x'"},
        {"balance: {hash: {on: header}}", "names no header; write for example 'header X-User'"},
        {"balance: {hash: {on: \"cookie a=b\"}}", "names no cookie"},
        {"balance: {hash: {on: ip, bound: 100%}}", "must be from 101% to 10000%, not 100%"},
        {"balance: [ip]", "pools.app.balance must be"},
        {"affinity: {cookie: \"a b\"}", "'a b' is no name of a cookie"},
        {"affinity: {}", "pools.app.affinity.cookie is missing"},
    }));
    INFO(complaints(withPool(keys + "\n" + kBackend)));
    CHECK(complaints(withPool(keys + "\n" + kBackend)).find(said) != std::string::npos);
}
