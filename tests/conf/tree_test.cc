#include "conf/tree.h"

#include <catch2/catch.hpp>

#include "conf/utf8.h"
#include "tests/conf/yaml.h"

using namespace regrow::conf;
using namespace regrow::conf::test;

TEST_CASE("every node knows its place") {
    const auto tree = parseTree("a: 1\nb:\n  - x\n  - {c: 'y'}\n", "f");
    REQUIRE(tree.problems.empty());
    const Node& c = tree.root.at("b").at(size_t{1}).at("c");
    CHECK(c.text == "y");
    CHECK(c.quoted);
    CHECK(c.line == 4);
    CHECK(c.column == 9);
    CHECK(tree.root.entries[1].key.line == 2);
}

TEST_CASE("files that are no YAML at all") {
    CHECK(complaints("a: [1, 2").find("not valid YAML: ") != std::string::npos);
    CHECK(complaints("a: b: c").starts_with("1:5: not valid YAML: "));
    CHECK(
        complaints("") ==
        " a configuration is a map of keys, but this file holds nothing; `regrow config defaults` "
        "prints one to start from\n");
    CHECK(complaints("- a").find("but this file holds a list") != std::string::npos);
    CHECK(complaints("a: !!python/object x").find("YAML tags are not used here") !=
          std::string::npos);
    CHECK(complaints("a: 1\n---\nb: 2\n").find("a second YAML document") != std::string::npos);
}

TEST_CASE("a key written twice is pointed at, and everything else is still read") {
    const auto said =
        complaints("log: {level: info, level: debug}\nworkerz: 2\n" + withPool(kBackend));
    CHECK(said ==
          "1:20: key 'level' is written twice (first in line 1); keep one\n"
          "2:1: workerz is not a known key; did you mean 'workers'?\n");
}

TEST_CASE("aliases cannot blow up") {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 12; ++i) {
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 10; ++j) bomb += (j ? ", *a" : "*a") + std::to_string(i - 1);
        bomb += "]\n";
    }
    CHECK(complaints(bomb).find("more than 100000 values once aliases are expanded") !=
          std::string::npos);
    CHECK_FALSE(complaints("a: &a [*a]").empty());
    CHECK(complaints("a: *nowhere").find("not valid YAML") != std::string::npos);
}

TEST_CASE("depth and size are limited") {
    CHECK(complaints(std::string(200, '[')).find("nested deeper than 32 levels") !=
          std::string::npos);
    CHECK(complaints(std::string(100'000, '[')).find("nested deeper than 32 levels") !=
          std::string::npos);
    CHECK(complaints("# " + std::string(kFileLimit, 'x')).find("larger than 1048576 bytes") !=
          std::string::npos);
}

TEST_CASE("only clean UTF-8 is read") {
    CHECK(complaints("a: 1\nb: caf\xe9\n") ==
          "2:7: byte 0xe9 is not text; save the file as UTF-8 without control characters\n");
    CHECK_FALSE(firstBadByte("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8c\xb1\t\r\n").has_value());
    CHECK(firstBadByte("a\xc0\xaf") == 1u);                  // overlong '/'
    CHECK(firstBadByte("\xed\xa0\x80") == 0u);               // surrogate
    CHECK(firstBadByte("ab\xe2\x82") == 2u);                 // cut short
    CHECK(firstBadByte(std::string_view("a\0b", 3)) == 1u);  // NUL
    CHECK(firstBadByte("\xf4\x90\x80\x80") == 0u);           // beyond U+10FFFF
}

TEST_CASE("a flood of problems is cut") {
    std::string yaml;
    for (int i = 0; i < 500; ++i) yaml += "zz" + std::to_string(i) + ": 1\n";
    const auto config = parse(yaml, "f");
    REQUIRE_FALSE(config.has_value());
    CHECK(config.error().size() == 101);
    CHECK(config.error().back().message == "and 402 more problems");
}
