#include "proxy/balance/key_table.h"

#include <catch2/catch.hpp>
#include <string>

using namespace regrow;

namespace {

struct Names {
    std::vector<std::string> names;
    std::vector<KeyTable::Owner> owners;
    explicit Names(size_t count) {
        for (size_t i = 0; i < count; ++i) names.push_back("backend-" + std::to_string(i));
        for (const auto& name : names) owners.push_back({name, 1});
    }
};

std::vector<int> slotsOf(const KeyTable& table, size_t owners) {
    std::vector<int> count(owners);
    for (size_t slot = 0; slot < KeyTable::kSlots; ++slot) ++count[table.owner(slot)];
    return count;
}

// Slots that changed hands though neither of them had to: they belong to one that is in both.
double movedWithoutNeed(const KeyTable& with, const KeyTable& without, size_t removed) {
    int moved = 0;
    for (size_t slot = 0; slot < KeyTable::kSlots; ++slot) {
        size_t before = with.owner(slot);
        if (before == removed) continue;
        if (before > removed) --before;
        moved += before != without.owner(slot);
    }
    return static_cast<double>(moved) / KeyTable::kSlots;
}

}  // namespace

TEST_CASE("slots are shared within one, by weight", "[balance]") {
    for (const size_t n : {1, 3, 10, 100, 1000}) {
        const Names all(n);
        const double fair = static_cast<double>(KeyTable::kSlots) / static_cast<double>(n);
        for (const int count : slotsOf(KeyTable(all.owners), n)) CHECK(std::abs(count - fair) <= 1);
    }
    Names weighted(4);
    weighted.owners[1].weight = 4;
    weighted.owners[2].weight = 0;
    weighted.owners[3].weight = 256;
    const auto count = slotsOf(KeyTable(weighted.owners), 4);
    const double each = KeyTable::kSlots / 261.0;
    CHECK(std::abs(count[0] - each) <= 1.1);
    CHECK(std::abs(count[1] - 4 * each) <= 2);
    CHECK(count[2] == 0);
    CHECK(std::abs(count[3] - 256 * each) <= 2);
}

TEST_CASE("who owns a slot depends on names alone, not on their order", "[balance]") {
    const Names all(7);
    auto reversed = all.owners;
    std::ranges::reverse(reversed);
    const KeyTable one(all.owners), other(reversed);
    for (size_t slot = 0; slot < KeyTable::kSlots; ++slot)
        if (6 - one.owner(slot) != other.owner(slot)) FAIL("slot " << slot);
    SUCCEED();
}

// The figures that key_table.h states.
TEST_CASE("adding or removing a backend moves little more than its own keys", "[balance]") {
    const auto [n, most] =
        GENERATE(table<size_t, double>({{3, 0.001}, {10, 0.005}, {100, 0.01}, {1000, 0.01}}));
    const Names all(n);
    const KeyTable with(all.owners);
    double worst = 0;
    for (const size_t removed : {size_t{0}, n / 2, n - 1}) {
        auto fewer = all.owners;
        fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(removed));
        worst = std::max(worst, movedWithoutNeed(with, KeyTable(fewer), removed));
    }
    INFO(n << " backends: " << worst * 100 << " % of the keys move without need");
    CHECK(worst < most);
}

TEST_CASE("nobody with a weight, no table", "[balance]") {
    CHECK(KeyTable({}).empty());
    Names one(1);
    one.owners[0].weight = 0;
    CHECK(KeyTable(one.owners).empty());
}
