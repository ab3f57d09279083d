#include <catch2/catch.hpp>

#include "tests/conf/yaml.h"

using namespace regrow::conf;
using namespace regrow::conf::test;
using namespace std::chrono_literals;

namespace {

std::string listening(const std::string& keys) {
    return "listeners: [{listen: 127.0.0.1:80, routes: [{pool: app}], " + keys +
           "}]\npools: {app: {" + kBackend + "}}";
}

}  // namespace

TEST_CASE("accept and the ceiling of a listener") {
    const auto config = parse(listening("accept: {deny: [10.0.0.0/8], connections_per_ip: 3, "
                                        "requests_per_second: 20}, timeouts: {request: 5m}"),
                              "f");
    REQUIRE(config.has_value());
    const Listener& listener = config->listeners[0];
    CHECK(listener.accept.on());
    CHECK(listener.accept.deny == std::vector<std::string>{"10.0.0.0/8"});
    CHECK(listener.accept.connections_per_ip == 3);
    CHECK(listener.accept.burst == 20);
    CHECK(listener.timeouts.request == 5min);
    const auto plain = parse(listening("accept: {}"), "f");
    REQUIRE(plain.has_value());
    CHECK_FALSE(plain->listeners[0].accept.on());
    CHECK(plain->listeners[0].timeouts.request == 0s);
}

TEST_CASE("limits of the process") {
    const auto config = parse(withTop("limits: {connections: 500, memory: 512MiB}"), "f");
    REQUIRE(config.has_value());
    CHECK(config->limits == Limits{500, uint64_t{512} << 20});
    CHECK(parse(withTop("limits: {connections: auto, memory: auto}"), "f")->limits == Limits{});
}

TEST_CASE("limits that cannot be meant are refused") {
    CHECK(complaints(listening("accept: {allow: [10.0.0.1/8]}")).find("bits set beyond its /8") !=
          std::string::npos);
    CHECK(complaints(listening("accept: {burst: 5}")).find("limits nothing without") !=
          std::string::npos);
    CHECK(complaints(listening("accept: {conections_per_ip: 5}"))
              .find("did you mean 'connections_per_ip'?") != std::string::npos);
    CHECK(complaints(withTop("limits: {connections: 0}")).find("limits.connections must be") !=
          std::string::npos);
    CHECK(complaints(withTop("limits: {memory: 1KiB}")).find("limits.memory must be from 16MiB") !=
          std::string::npos);
}
