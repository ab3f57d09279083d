#include "proxy/balance/request_key.h"

#include <catch2/catch.hpp>
#include <set>

#include "proxy/balance/affinity.h"

using namespace regrow;

namespace {

http::Field field(http::FieldId id, std::string_view name, std::string_view value) {
    http::Field made;
    made.name_data = name.data();
    made.value_data = value.data();
    made.name_size = static_cast<decltype(made.name_size)>(name.size());
    made.value_size = static_cast<decltype(made.value_size)>(value.size());
    made.id = id;
    return made;
}

}  // namespace

// A key's backend must be the same after an update of regrow as before it.
TEST_CASE("hashes are the same for ever", "[balance]") {
    CHECK(hashOf("") == 1);
    CHECK(hashOf("a") == hashOf(std::string("a")));
    CHECK(hashOf("wiki-1", 1) != hashOf("wiki-1", 2));
    CHECK(hashOf("/a") != hashOf("/b"));
    CHECK(hashOf(std::string(8, '\0')) != hashOf(std::string(9, '\0')));
    CHECK(hashOf("the quick brown fox") == 0x6e415078dd50c41dULL);
    CHECK(hashOf(uint64_t{42}) == 0x2d1c8760f8047fc7ULL);
}

TEST_CASE("a cookie's value is found among others", "[balance]") {
    http::FieldList fields;
    fields.add(field(http::FieldId::other, "X", "sid=no"));
    fields.add(field(http::FieldId::cookie, "Cookie", "a=1; xsid=2;sid=; SID=3"));
    CHECK(cookieValue(fields, "sid").empty());
    fields.add(field(http::FieldId::cookie, "Cookie", "b=2 ;\tsid=hit=1 ; sid=second"));
    CHECK(cookieValue(fields, "sid") == "hit=1");
    CHECK(cookieValue(fields, "a") == "1");
    CHECK(cookieValue(fields, "b") == "2");
    CHECK(cookieValue({}, "a").empty());
}

// HTTP/2 clients cut the field at each ';' as they like: how must not matter.
TEST_CASE("a cookie without a value is passed over, in one field as in two", "[balance]") {
    http::FieldList one, two;
    one.add(field(http::FieldId::cookie, "cookie", "sid=; sid=hit"));
    two.add(field(http::FieldId::cookie, "cookie", "sid="));
    two.add(field(http::FieldId::cookie, "cookie", "sid=hit"));
    CHECK(cookieValue(one, "sid") == "hit");
    CHECK(cookieValue(two, "sid") == "hit");
}

TEST_CASE("a token says neither name nor address, and only its own installation reads it",
          "[balance]") {
    const std::vector<Affinity::Backend> backends = {{"wiki-1", 7}, {"wiki-2", 9}, {"wiki-3", 12}};
    const Affinity ours("sid", "key", "wiki", backends);
    std::set<std::string_view> seen;
    for (uint32_t i = 0; i < 3; ++i) {
        const auto set = ours.setCookie(backends[i].slot, false);
        CHECK(set.starts_with("sid="));
        CHECK(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"));
        CHECK(set.find("wiki") == std::string_view::npos);
        const auto token = set.substr(4, set.find(';') - 4);
        CHECK(token.size() == 24);
        CHECK(seen.insert(token).second);
        REQUIRE(ours.find(token));
        CHECK(ours.find(token)->slot == backends[i].slot);
        CHECK(ours.find(token)->index == i);
        CHECK_FALSE(Affinity("sid", "another key", "wiki", backends).find(token));
        CHECK_FALSE(Affinity("sid", "key", "another pool", backends).find(token));
        CHECK(ours.setCookie(backends[i].slot, true) == std::string(set) + "; Secure");
        // The place's number is another one in the next process; the name is not.
        const std::vector<Affinity::Backend> later = {{"wiki-3", 1}, {"wiki-2", 2}, {"wiki-1", 3}};
        CHECK(Affinity("sid", "key", "wiki", later).find(token)->slot == 3 - i);
    }
    for (const auto* wrong : {"", "x", "wiki-1", "000000000000000000000000"})
        CHECK_FALSE(ours.find(wrong));
    for (const uint32_t slot : {0U, 8U, 13U, UINT32_MAX}) CHECK(ours.setCookie(slot, true).empty());
}
