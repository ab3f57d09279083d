#include "proxy/recovery/server_states.h"

#include <catch2/catch.hpp>

using namespace regrow::recovery;
using State = ServerState;
using enum ServerChange;

TEST_CASE("a spare is claimed by one recovery, which alone may write to it") {
    const auto mine = change({}, claim, "r1", "");
    REQUIRE(mine);
    CHECK(mine->state == State::claimed);
    CHECK(change(*mine, claim, "r1", "") == *mine);
    for (const auto what : {claim, give_back, use, soil})
        CHECK(change(*mine, what, "r2", "").error().message ==
              "cannot " + std::string(name(what)) +
                  " a server that is claimed by recovery r1: another recovery has it");
    const auto used = change(*mine, use, "r1", "");
    REQUIRE(used);
    CHECK(used->state == State::in_use);
    CHECK_FALSE(change(*used, claim, "r2", ""));
    CHECK_FALSE(change(*used, release, "ann", ""));
    const auto kept = change(*used, quarantine, "", "replaced");
    REQUIRE(kept);
    CHECK(kept->reason == "replaced");
    CHECK(change(*kept, claim, "r2", "").error().message ==
          "cannot claim a server that is quarantined (replaced): `regrow release` makes it a spare "
          "again");
    CHECK(change(*kept, release, "ann", "") == ServerRecord{});
}

TEST_CASE("no server is ever taken from dirty, quarantined or lost but by release") {
    for (const auto state : {State::dirty, State::quarantined, State::lost})
        for (const auto what : {claim, give_back, use})
            CHECK_FALSE(change({state, "", ""}, what, "r1", ""));
}

TEST_CASE("state names go both ways") {
    for (const auto state : {State::free, State::claimed, State::in_use, State::dirty,
                             State::quarantined, State::lost})
        CHECK(serverStateFromName(name(state)) == state);
    CHECK_FALSE(serverStateFromName("fre"));
}
