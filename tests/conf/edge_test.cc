#include <catch2/catch.hpp>

#include "tests/conf/yaml.h"

using namespace regrow::conf;
using namespace regrow::conf::test;

namespace {

const std::string kPools = "\npools: {a: {backends: [{name: a, address: 127.0.0.1:1}]}}";

std::string listener(const std::string& keys) {
    return complaints("listeners: [{listen: 127.0.0.1:80, " + keys + "}]" + kPools);
}

std::string address(const std::string& text) {
    return complaints(
        "listeners: [{listen: 127.0.0.1:80, routes: [{pool: a}]}]\n"
        "pools: {a: {backends: [{name: a, address: '" +
        text + "'}]}}");
}

}  // namespace

TEST_CASE("a listener in TCP mode has a pool and nothing of HTTP") {
    CHECK(listener("mode: tcp, pool: a").empty());
    CHECK(listener("mode: tcp") ==
          "1:13: listeners[0] has 'mode: tcp' but no 'pool', where its connections go\n");
    CHECK(listener("mode: tcp, pool: b") ==
          "1:53: listeners[0].pool: there is no pool 'b'; add it under 'pools'\n");
    CHECK(listener("mode: tcp, pool: a, routes: [{pool: a}], h2c: true") ==
          "1:64: listeners[0].routes does not go with 'mode: tcp', which passes bytes on as they "
          "are\n"
          "1:82: listeners[0].h2c does not go with 'mode: tcp', which passes bytes on as they "
          "are\n");
    CHECK(listener("pool: a, routes: [{pool: a}]") ==
          "1:42: listeners[0].pool belongs to 'mode: tcp'; with HTTP write routes: [{pool: …}]\n");
    CHECK(listener("mode: http") ==
          "1:13: listeners[0] has no 'routes'; add routes: [{pool: NAME}]\n");
}

TEST_CASE("PROXY headers are taken from somebody named") {
    CHECK(listener("routes: [{pool: a}], proxy_protocol: any, trusted_proxies: [unix]").empty());
    CHECK(listener("routes: [{pool: a}], proxy_protocol: v2").find("names nobody") !=
          std::string::npos);
    CHECK(listener("routes: [{pool: a}], proxy_protocol: v3").find("must be off, v1, v2, any") !=
          std::string::npos);
    CHECK(complaints(withPool("backends: [{name: a, address: 127.0.0.1:1}]\nproxy_protocol: any"))
              .find("must be off, v1, v2") != std::string::npos);
}

TEST_CASE("the mode of a unix socket is written as chmod writes it") {
    CHECK(listener("routes: [{pool: a}], unix_mode: 0666").empty());
    for (const std::string mode : {"rw", "888", "0", "07777", "-1", "'0660 '"}) {
        INFO(mode);
        CHECK(listener("routes: [{pool: a}], unix_mode: " + mode).find("is not a file mode") !=
              std::string::npos);
    }
}

TEST_CASE("a backend may be reached by a name, and a slip in an address is none") {
    const auto config = parse(
        withPool("backends: [{name: a, address: app-1.internal:8080}, {name: b, address: b:1}]"),
        "f");
    REQUIRE(config);
    const auto& server = config->pools.at("app").backends.front().server;
    CHECK(server.lookup == "app-1.internal:8080");
    CHECK_FALSE(server.address.valid());
    for (const std::string text :
         {"127.0.0.1000:80", "127.0.0:80", "app.internal", "app.internal:0", "app.internal:65536",
          "app..internal:80", "-app:80", "app internal:80", ":80", "app/x:80", ".app:80"}) {
        INFO(text);
        CHECK(address(text).find("is neither a numeric address nor a name with a port") !=
              std::string::npos);
    }
    CHECK(complaints(withPool("backends: [{name: a, address: app:1}, {name: b, address: app:1}]"))
              .find("app:1 is") != std::string::npos);
}

TEST_CASE("the user to become is one word of text") {
    const auto config =
        parse(withPool("backends: [{name: a, address: b:1}]", "user: regrow\n"), "f");
    REQUIRE(config);
    CHECK(config->user == "regrow");
    CHECK(
        complaints(withPool("backends: [{name: a, address: b:1, service: {run: [/x], user: app}}]",
                            "user: regrow\n"))
            .find("cannot start a server as 'app'") != std::string::npos);
}
