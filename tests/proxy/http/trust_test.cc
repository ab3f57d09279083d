#include "proxy/http/trust.h"

#include <catch2/catch.hpp>

using namespace regrow;
using namespace regrow::proxy;

namespace {

bool trusts(const std::vector<std::string>& cidrs, const std::string& peer) {
    return ProxyTrust::parse(cidrs).value().trusts(Address::parse(peer).value());
}

}  // namespace

TEST_CASE("trusted proxies by network", "[http]") {
    CHECK(trusts({"10.0.0.0/8"}, "10.255.0.1:1"));
    CHECK_FALSE(trusts({"10.0.0.0/8"}, "11.0.0.1:1"));
    CHECK(trusts({"10.0.0.0/9"}, "10.127.0.1:1"));
    CHECK_FALSE(trusts({"10.0.0.0/9"}, "10.128.0.1:1"));
    CHECK(trusts({"192.0.2.1"}, "192.0.2.1:1"));
    CHECK_FALSE(trusts({"192.0.2.1"}, "192.0.2.2:1"));
    CHECK(trusts({"0.0.0.0/0"}, "1.2.3.4:1"));
    CHECK_FALSE(trusts({"0.0.0.0/0"}, "[2001:db8::1]:1"));
    CHECK(trusts({"::/0"}, "[2001:db8::1]:1"));
    CHECK(trusts({"2001:db8::/32"}, "[2001:db8:ffff::1]:1"));
    CHECK_FALSE(trusts({"2001:db8::/32"}, "[2001:db9::1]:1"));
    CHECK(trusts({"10.0.0.0/8"}, "[::ffff:10.0.0.1]:1"));
    CHECK(trusts({"10.0.0.0/8", "192.0.2.0/24"}, "192.0.2.9:1"));
    CHECK(trusts({"unix"}, "unix:/tmp/s"));
    CHECK_FALSE(trusts({"0.0.0.0/0", "::/0"}, "unix:/tmp/s"));
    CHECK_FALSE(trusts({}, "127.0.0.1:1"));
}

TEST_CASE("a network that is not one is refused with an example", "[http]") {
    for (const char* bad : {"", "10.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x",
                            "::/129", "host", "10.0.0.1/8", "2001:db8::1/32"}) {
        INFO(bad);
        const auto parsed = ProxyTrust::parse({bad});
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().message.find("10.0.0.0/8") != std::string::npos);
        CHECK(parsed.error().message.find(bad) != std::string::npos);
    }
}
