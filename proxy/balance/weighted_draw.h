#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"

namespace regrow {

// Draws a number below n with the probability its weight gives it, in constant time: Walker's alias
// method, built as Vose does ("A linear algorithm for generating random numbers with a given
// distribution", 1991). Building is O(n) and may allocate; drawing does not.
class WeightedDraw {
  public:
    void build(std::span<const int32_t> weights);  // each positive
    size_t size() const { return columns_.size(); }
    // size() > 0.
    size_t next(Random& random) const {
        const uint64_t bits = random.next();
        // The upper half chooses a column, the lower one who of its two.
        const auto column = static_cast<size_t>(((bits >> 32U) * columns_.size()) >> 32U);
        const Column& c = columns_[column];
        return static_cast<uint32_t>(bits) < c.own ? column : c.alias;
    }

  private:
    struct Column {
        uint32_t own = 0;  // of 2^32; the rest is the alias's
        uint32_t alias = 0;
    };
    std::vector<Column> columns_;
    std::vector<double> shares_;  // while building
    std::vector<uint32_t> poor_, rich_;
};

}  // namespace regrow
