#include "proxy/net/sni_table.h"

#include <catch2/catch.hpp>

using regrow::net::SniTable;

TEST_CASE("SNI: exact before wildcard, one label only, the first claim holds") {
    SniTable table;
    table.add("a.test", 0);
    table.add("*.a.test", 1);
    table.add("x.a.test", 2);
    table.add("a.test", 3);
    CHECK(table.find("a.test") == 0);
    CHECK(table.find("A.Test.") == 0);
    CHECK(table.find("y.a.test") == 1);
    CHECK(table.find("x.a.test") == 2);
    CHECK(table.find("z.y.a.test") == SniTable::kNone);
    CHECK(table.find(".a.test") == SniTable::kNone);
    CHECK(table.find("") == SniTable::kNone);
    CHECK(table.find("test") == SniTable::kNone);
    CHECK(table.find(std::string(5000, 'a') + ".a.test") == SniTable::kNone);
    CHECK(table.find("*.a.test") == 1);
}
