#pragma once

#include <cstdint>

namespace regrow::serve {

// How long one exchange may move bytes before the others get their turn: so many reads, or so many
// bytes, some 0.5 ms.
class Turn {
  public:
    // Asked before each round. `moved`: a count that grows by what was moved.
    bool goesOn(uint64_t moved) {
        if (rounds_ == 0) from_ = moved;
        return rounds_++ < kRounds && moved - from_ < kBytes;
    }

  private:
    static constexpr int kRounds = 16;
    static constexpr uint64_t kBytes = 3 << 19;
    uint64_t from_ = 0;
    int rounds_ = 0;
};

}  // namespace regrow::serve
