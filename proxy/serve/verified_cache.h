#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/siphash.h"

namespace regrow::serve {

// Passwords that were checked lately, as keyed hashes, so that a request does not pay for a slow
// hash that was computed for the one before. A right one is known for five minutes, a wrong one for
// five seconds (a client that keeps asking with it costs nothing). Bounded: 256 sets of 4, and a
// wrong password never takes the place of a right one, so guessing does not throw anybody out.
// No memory before the first use. A worker's own.
class VerifiedCache {
  public:
    static constexpr Duration kRight = std::chrono::minutes(5);
    static constexpr Duration kWrong = std::chrono::seconds(5);

    std::optional<bool> find(const Hash128& key, Instant now) const;
    void add(const Hash128& key, bool right, Instant now);

  private:
    struct Entry {
        Hash128 key{};
        Instant until{};  // epoch: never used
        bool right = false;
    };
    static constexpr size_t kSets = 256;
    static constexpr size_t kWays = 4;
    static size_t setOf(const Hash128& key) { return key[1] % kSets * kWays; }

    std::vector<Entry> entries_;
};

}  // namespace regrow::serve
