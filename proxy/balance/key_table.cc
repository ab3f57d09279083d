#include "proxy/balance/key_table.h"

#include <algorithm>

#include "proxy/balance/request_key.h"

namespace regrow {
namespace {

constexpr uint16_t kFree = UINT16_MAX;
constexpr size_t kMostOwners = kFree;  // the rest owns nothing; a file of 1 MiB cannot name as many

// One backend's permutation of the slots, and how far it has come.
struct Taker {
    std::string_view name;
    uint16_t index = 0;
    int weight = 0;
    size_t next = 0;
    size_t step = 0;
    uint64_t taken = 0;

    void take(std::vector<uint16_t>& slots) {
        while (slots[next] != kFree) next = (next + step) % KeyTable::kSlots;
        slots[next] = index;
        ++taken;
    }
};

std::vector<Taker> takersOf(std::span<const KeyTable::Owner> owners) {
    std::vector<Taker> takers;
    for (size_t i = 0; i < std::min(owners.size(), kMostOwners); ++i) {
        if (owners[i].weight <= 0) continue;
        takers.push_back({.name = owners[i].name,
                          .index = static_cast<uint16_t>(i),
                          .weight = owners[i].weight,
                          .next = hashOf(owners[i].name, 1) % KeyTable::kSlots,
                          .step = hashOf(owners[i].name, 2) % (KeyTable::kSlots - 1) + 1});
    }
    // Whose turn comes first must not depend on the order in the file.
    std::ranges::sort(takers, {}, &Taker::name);
    return takers;
}

}  // namespace

KeyTable::KeyTable(std::span<const Owner> owners) {
    std::vector<Taker> takers = takersOf(owners);
    if (takers.empty()) return;
    slots_.assign(kSlots, kFree);
    const auto heaviest =
        static_cast<uint64_t>(std::ranges::max_element(takers, {}, &Taker::weight)->weight);
    // The heaviest takes one a round, the others as much less often as they weigh less.
    size_t free = kSlots;
    for (uint64_t round = 1; free > 0; ++round) {
        for (Taker& t : takers) {
            if (free == 0) break;
            if (t.taken * heaviest >= round * static_cast<uint64_t>(t.weight)) continue;
            t.take(slots_);
            --free;
        }
    }
}

}  // namespace regrow
