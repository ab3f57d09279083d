#include "base/address.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <string>

using namespace regrow;
using Catch::Matchers::Contains;

TEST_CASE("addresses are written as they are read", "[address]") {
    for (const std::string text :
         {"127.0.0.1:80", "0.0.0.0:0", "[::1]:65535", "[2001:db8::1]:443", "unix:/run/app.sock"}) {
        INFO(text);
        const auto address = Address::parse(text);
        REQUIRE(address);
        CHECK(address->text() == text);
        CHECK(*address == Address::fromSockaddr(address->sockaddrPtr(), address->length()));
    }
    CHECK(Address::parse("[0:0:0:0:0:0:0:1]:80")->text() == "[::1]:80");
    CHECK(Address::parse("127.0.0.1:80")->port() == 80);
    CHECK(Address::parse("[::1]:80")->host() == "::1");
    CHECK(Address::parse("unix:/a")->host() == "/a");
}

TEST_CASE("what is no address is refused by name and with the remedy", "[address]") {
    for (const std::string text : {"",
                                   ":",
                                   "localhost:80",
                                   "127.0.0.1",
                                   "127.0.0.1:",
                                   "127.0.0.1:65536",
                                   "127.0.0.1:-1",
                                   "127.0.0.1:+1",
                                   "127.0.0.1:80 ",
                                   "127.0.0.1:0x50",
                                   "256.0.0.1:80",
                                   "1.2.3:80",
                                   "::1:80",
                                   "[::1]",
                                   "[::1",
                                   "[]:80",
                                   "[::1]x:80",
                                   "[127.0.0.1]:80",
                                   "unix:",
                                   "*:80"}) {
        INFO(text);
        const auto address = Address::parse(text);
        REQUIRE_FALSE(address);
        CHECK(address.error().code == Code::invalid);
        CHECK_THAT(address.error().message, Contains("'" + text + "'") && Contains("HOST:PORT"));
    }
}

TEST_CASE("a zero byte does not hide what follows it", "[address]") {
    CHECK_FALSE(Address::parse(std::string("127.0.0.1\0x:80", 14)));
    CHECK_FALSE(Address::parse(std::string("unix:/a\0/b", 10)));
}

TEST_CASE("a unix path fits or is refused, never cut", "[address]") {
    const std::string longest(107, 'p');
    CHECK(Address::parse("unix:" + longest)->host() == longest);
    CHECK_FALSE(Address::parse("unix:" + longest + "p"));
}

TEST_CASE("loopback is known for what it is", "[address]") {
    for (const auto* text : {"127.0.0.1:1", "127.255.0.9:1", "[::1]:1", "unix:/a"})
        CHECK(Address::parse(text)->isLoopback());
    for (const auto* text : {"0.0.0.0:1", "128.0.0.1:1", "[::]:1", "[fe80::1]:1"})
        CHECK_FALSE(Address::parse(text)->isLoopback());
    CHECK(Address::loopback(80) == *Address::parse("127.0.0.1:80"));
    CHECK_FALSE(Address().valid());
    CHECK(Address().text() == "-");
}

TEST_CASE("a unix peer without a name has an empty one", "[address]") {
    sockaddr_un unnamed{};
    unnamed.sun_family = AF_UNIX;
    const auto address = Address::fromSockaddr(reinterpret_cast<const sockaddr*>(&unnamed),
                                               offsetof(sockaddr_un, sun_path));
    CHECK(address.isUnix());
    CHECK(address.host().empty());
    CHECK_FALSE(address == *Address::parse("unix:/a"));
}
