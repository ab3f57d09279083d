#include "base/resolver.h"

#include <catch2/catch.hpp>
#include <optional>

using namespace regrow;

TEST_CASE("a name is found off the loop, and the answer comes on it", "[resolver]") {
    EventLoop loop;
    Resolver resolver(loop);
    std::optional<Result<std::vector<Address>>> answer;
    resolver.resolve("localhost:8080", [&](auto found) {
        answer = std::move(found);
        loop.stop();
    });
    CHECK_FALSE(answer.has_value());
    loop.run();
    REQUIRE(answer.has_value());
    REQUIRE(answer->has_value());
    CHECK((*answer)->front().isLoopback());
    CHECK((*answer)->front().port() == 8080);
}

TEST_CASE("a name that nobody has is an error that says so", "[resolver]") {
    const auto found = lookUp("no-such-host.invalid:1");
    REQUIRE_FALSE(found.has_value());
    CHECK(found.error().message.find("'no-such-host.invalid' cannot be looked up") == 0);
}

TEST_CASE("a resolver that is gone tells nobody", "[resolver]") {
    EventLoop loop;
    bool told = false;
    {
        Resolver resolver(loop);
        for (int i = 0; i < 8; ++i)
            resolver.resolve("localhost:1", [&](const auto&) { told = true; });
    }
    loop.post([&] { loop.stop(); });
    loop.run();
    CHECK_FALSE(told);
}

TEST_CASE("the address in use stays while the name has it", "[resolver]") {
    const Address a = Address::loopback(1), b = Address::loopback(2), c = Address::loopback(3);
    CHECK(chooseAddress({a, b}, b) == b);
    CHECK(chooseAddress({a, b}, c) == a);
    CHECK(chooseAddress({a, b}, Address()) == a);
}
