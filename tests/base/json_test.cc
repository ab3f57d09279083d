#include "base/json.h"

#include <catch2/catch.hpp>
#include <limits>

using namespace regrow;
using Catch::Matchers::Contains;

TEST_CASE("fields are read by type, anything else is absent", "[json]") {
    const auto document = json::parse(
        R"({"s":"x","i":-3,"u":18446744073709551615,"d":1.5,"b":true,"o":{},"a":[],"n":null})");
    REQUIRE(document);
    CHECK(json::getString(*document, "s") == "x");
    CHECK(json::getInt(*document, "i") == -3);
    CHECK(json::getUint(*document, "u") == std::numeric_limits<uint64_t>::max());
    CHECK(json::getDouble(*document, "d") == 1.5);
    CHECK(json::getDouble(*document, "i") == -3.0);
    CHECK(json::getBool(*document, "b") == true);
    CHECK(json::getObject(*document, "o"));
    CHECK(json::getArray(*document, "a"));
    for (const auto* key : {"i", "b", "o", "a", "n", "none"})
        CHECK_FALSE(json::getString(*document, key));
    for (const auto* key : {"s", "u", "d", "n"}) CHECK_FALSE(json::getInt(*document, key));
    for (const auto* key : {"s", "i", "d", "b"}) CHECK_FALSE(json::getUint(*document, key));
    CHECK_FALSE(json::getDouble(*document, "s"));
    CHECK_FALSE(json::getBool(*document, "i"));
    CHECK_FALSE(json::getObject(*document, "a"));
    CHECK_FALSE(json::getArray(*document, "o"));
}

TEST_CASE("reading a field of what is no object finds nothing", "[json]") {
    for (const auto* text : {"[1]", "3", "\"s\"", "null"}) {
        const auto document = json::parse(text);
        REQUIRE(document);
        CHECK_FALSE(json::getString(*document, "x"));
        CHECK_FALSE(json::getObject(*document, "x"));
    }
}

TEST_CASE("text that is no JSON is refused with the place", "[json]") {
    for (const std::string& text :
         {std::string(), std::string(" "), std::string("{"), std::string("{}x"),
          std::string("{\"a\":1,}"), std::string("{'a':1}"), std::string("nan"),
          std::string("\"\xff\""), std::string("1e999"), std::string("{}\0x", 4)}) {
        INFO(text);
        const auto document = json::parse(text);
        REQUIRE_FALSE(document);
        CHECK(document.error().code == Code::invalid);
        CHECK_THAT(document.error().message, Contains("at byte"));
    }
}

TEST_CASE("deep nesting exhausts no stack", "[json]") {
    const size_t depth = 1'000'000;
    CHECK(json::parse(std::string(depth, '[') + std::string(depth, ']')));
    CHECK_FALSE(json::parse(std::string(depth, '[')));
}

TEST_CASE("strings that are not UTF-8 come out as JSON all the same", "[json]") {
    const std::string bad = "a\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82z";
    const std::string text = json::Writer().beginObject().field(bad, bad).endObject().text();
    const auto document = json::parse(text);
    REQUIRE(document);
    const std::string value = document->MemberBegin()->value.GetString();
    CHECK_THAT(value, Catch::StartsWith("a\xef\xbf\xbd") && Catch::EndsWith("z"));
    const std::string good = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
    CHECK(json::getString(
              *json::parse(json::Writer().beginObject().field("k", good).endObject().text()),
              "k") == good);
}

TEST_CASE("zero bytes, quotes and control characters survive", "[json]") {
    const std::string odd("a\0\"\\\n\x1f", 6);
    const auto document =
        json::parse(json::Writer().beginObject().field("k", odd).endObject().text());
    REQUIRE(document);
    CHECK(json::getString(*document, "k") == odd);
}

TEST_CASE("numbers of every size are JSON", "[json]") {
    json::Writer w;
    w.beginArray().value(1.23456789).value(1e300).value(-1e308).value(0.1 + 0.2);
    w.value(std::numeric_limits<double>::infinity())
        .value(std::numeric_limits<double>::quiet_NaN());
    w.value(std::numeric_limits<int64_t>::min()).value(std::optional<int>()).value(7u).endArray();
    const auto document = json::parse(w.text());
    REQUIRE(document);
    const auto list = document->GetArray();
    REQUIRE(list.Size() == 9);
    CHECK(list[0].GetDouble() == 1.234568);
    CHECK(list[1].GetDouble() == 1e300);
    CHECK(list[2].GetDouble() == -1e308);
    CHECK(list[3].GetDouble() == 0.3);
    CHECK(list[4].IsNull());
    CHECK(list[5].IsNull());
    CHECK(list[6].GetInt64() == std::numeric_limits<int64_t>::min());
    CHECK(list[7].IsNull());
}
