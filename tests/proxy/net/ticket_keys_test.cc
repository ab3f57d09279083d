#include "proxy/net/ticket_keys.h"

#include <catch2/catch.hpp>

using namespace regrow;
using net::TicketKeys;

TEST_CASE("ticket keys: sealed for a period, opened for two, then forgotten") {
    TicketKeys keys;
    const Instant start{std::chrono::hours(100)};
    const auto tick = std::chrono::seconds(1);
    const auto first = keys.forSealing(start);
    REQUIRE(first);
    CHECK(keys.forSealing(start + TicketKeys::kPeriod - tick)->name == first->name);

    const auto second = keys.forSealing(start + TicketKeys::kPeriod);
    REQUIRE(second);
    CHECK(second->name != first->name);
    CHECK(second->cipher != first->cipher);
    CHECK(second->mac != first->mac);
    const auto old = keys.forOpening(first->name.data(), start + 2 * TicketKeys::kPeriod - tick);
    REQUIRE(old);
    CHECK(old->old);
    CHECK(old->key.cipher == first->cipher);
    const auto current = keys.forOpening(second->name.data(), start + TicketKeys::kPeriod + tick);
    REQUIRE(current);
    CHECK_FALSE(current->old);

    CHECK_FALSE(keys.forOpening(first->name.data(), start + 2 * TicketKeys::kPeriod));
    CHECK(keys.forOpening(second->name.data(), start + 3 * TicketKeys::kPeriod - tick));
    CHECK_FALSE(keys.forOpening(second->name.data(), start + 3 * TicketKeys::kPeriod));
}

TEST_CASE("ticket keys: nobody came for long, and nothing old is left") {
    TicketKeys keys;
    const Instant start{std::chrono::hours(100)};
    const auto first = keys.forSealing(start);
    CHECK_FALSE(keys.forOpening(first->name.data(), start + std::chrono::hours(1000)));
    CHECK(keys.forSealing(start + std::chrono::hours(1000))->name != first->name);
    TicketKeys others;
    CHECK_FALSE(others.forOpening(first->name.data(), start));
}
