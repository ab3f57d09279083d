#include "proxy/http/client_address.h"

#include <catch2/catch.hpp>
#include <deque>

using namespace regrow;
using namespace regrow::proxy;

namespace {

uint64_t keyOf(const std::string& text) {
    return clientKey(*Address::parse(text));
}

std::string forwarded(const std::deque<std::string>& values) {
    http::FieldList fields;
    for (const auto& value : values) {
        http::Field f;
        f.name_data = "X-Forwarded-For";
        f.name_size = 15;
        f.value_data = value.data();
        f.value_size = static_cast<uint32_t>(value.size());
        f.id = http::FieldId::x_forwarded_for;
        fields.add(f);
    }
    const auto trust = ProxyTrust::parse({"10.0.0.0/8", "fd00::/8"});
    const auto client = forwardedClient(fields, *trust);
    return client ? client->host() : "";
}

}  // namespace

TEST_CASE("an IPv6 client is its /64, an IPv4 client its address", "[limits]") {
    CHECK(keyOf("192.0.2.1:80") == keyOf("192.0.2.1:81"));
    CHECK(keyOf("192.0.2.1:80") != keyOf("192.0.2.2:80"));
    CHECK(keyOf("[::ffff:192.0.2.1]:80") == keyOf("192.0.2.1:80"));
    CHECK(keyOf("[2001:db8:1:2::1]:80") == keyOf("[2001:db8:1:2:ffff::9]:80"));
    CHECK(keyOf("[2001:db8:1:2::1]:80") != keyOf("[2001:db8:1:3::1]:80"));
    CHECK(keyOf("unix:/a") == keyOf("unix:/b"));
    CHECK(keyOf("unix:/a") != keyOf("255.255.255.255:1"));
}

TEST_CASE("the client is the last address that no trusted proxy has", "[limits]") {
    CHECK(forwarded({"203.0.113.9"}) == "203.0.113.9");
    CHECK(forwarded({"1.1.1.1, 203.0.113.9"}) == "203.0.113.9");  // the first anybody can write
    CHECK(forwarded({"1.1.1.1, 203.0.113.9,10.1.2.3 , 10.0.0.1"}) == "203.0.113.9");
    CHECK(forwarded({"203.0.113.9, 10.1.2.3", "10.0.0.1"}) == "203.0.113.9");
    CHECK(forwarded({"10.1.2.3, 10.0.0.1"}) == "10.1.2.3");
    CHECK(forwarded({"2001:db8::1, fd00::1"}) == "2001:db8::1");
    CHECK(forwarded({"[2001:db8::1]:443"}) == "2001:db8::1");
    CHECK(forwarded({"203.0.113.9:1234"}) == "203.0.113.9");
    for (const auto* wrong :
         {"", "unknown", "203.0.113.9, unknown", "203.0.113.9, ", "[", "[]", ":", "203.0.113.999",
          "[2001:db8::1", "[2001:db8::1]x", "[2001:db8::1]:", "[2001:db8::1]:80:80",
          "203.0.113.9:", "203.0.113.9:http", "203.0.113.9:1234567",
          "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19"})
        CHECK(forwarded({wrong}).empty());
    CHECK(forwarded({}).empty());
}
