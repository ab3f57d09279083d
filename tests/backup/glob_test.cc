#include "backup/glob.h"

#include <catch2/catch.hpp>

#include "backup/tree_dir.h"

using namespace regrow::backup;

TEST_CASE("patterns match whole names") {
    CHECK(globMatches("*.tmp", "a.tmp"));
    CHECK(globMatches("*.tmp", ".tmp"));
    CHECK_FALSE(globMatches("*.tmp", "a.tmp2"));
    CHECK_FALSE(globMatches("*.tmp", "dir/a.tmp"));
    CHECK(globMatches("**.tmp", "dir/a.tmp"));
    CHECK(globMatches("a?c", "abc"));
    CHECK_FALSE(globMatches("a?c", "a/c"));
    CHECK(globMatches("[a-c]x", "bx"));
    CHECK_FALSE(globMatches("[!a-c]x", "bx"));
    CHECK(globMatches("[!a-c]x", "dx"));
    CHECK(globMatches("[]]", "]"));
    CHECK(globMatches("[", "["));
    CHECK(globMatches("\\*", "*"));
    CHECK_FALSE(globMatches("\\*", "x"));
    CHECK(globMatches("a/**/b", "a/b"));
    CHECK(globMatches("a/**/b", "a/x/y/b"));
    CHECK_FALSE(globMatches("a/**/b", "a/xb"));
    CHECK(globMatches("**", "any/thing"));
    CHECK(globMatches("\xff*", "\xff\xfe"));
    CHECK_FALSE(globMatches("", "a"));
}

TEST_CASE("a hostile pattern costs no exponential time") {
    std::string pattern;
    for (int i = 0; i < 60; ++i) pattern += "*a";
    CHECK_FALSE(globMatches(pattern + "b", std::string(2000, 'a')));
}

TEST_CASE("exclusions know names, paths and directories") {
    const PathPatterns list({"*.tmp", "cache/", "/top", "var/log/*.gz"});
    CHECK(list.match("deep/in/x.tmp", false));
    CHECK(list.match("deep/cache", true));
    CHECK_FALSE(list.match("deep/cache", false));
    CHECK(list.match("top", false));
    CHECK_FALSE(list.match("deep/top", false));
    CHECK(list.match("var/log/a.gz", false));
    CHECK_FALSE(list.match("x/var/log/a.gz", false));
}

TEST_CASE("paths are printed so that a terminal survives them") {
    CHECK(printable("a\nb") == "a\\x0ab");
    CHECK(printable("\xff") == "\\xff");
    CHECK(printable("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
    CHECK(printable("\x1b[31m") == "\\x1b[31m");
}
