#pragma once

#include <cstdint>
#include <string>

namespace regrow {

// xoshiro256** (Blackman, Vigna 2018): fast, seedable, not for secrets. One per thread; tests give
// the seed.
class Random {
  public:
    explicit Random(uint64_t seed);
    static Random fromSystem();  // seeded by getrandom(2)

    uint64_t next();
    uint64_t below(uint64_t bound);  // [0, bound), bound > 0; bias below 2^-32
    double unit();                   // [0, 1)

  private:
    uint64_t state_[4];
};

// Bytes fit for keys and ids, from OpenSSL. Aborts when the system has no randomness.
std::string secureRandomBytes(size_t count);

}  // namespace regrow
