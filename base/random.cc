#include "base/random.h"

#include <openssl/rand.h>

#include <bit>
#include <cstdlib>
#include <cstring>

namespace regrow {
namespace {

// splitmix64, the seeding its authors recommend for xoshiro.
uint64_t splitmix(uint64_t& x) {
    x += 0x9e3779b97f4a7c15;
    uint64_t z = x;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

}  // namespace

Random::Random(uint64_t seed) {
    for (auto& word : state_) word = splitmix(seed);
}

Random Random::fromSystem() {
    uint64_t seed = 0;
    std::memcpy(&seed, secureRandomBytes(sizeof seed).data(), sizeof seed);
    return Random(seed);
}

uint64_t Random::next() {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
}

uint64_t Random::below(uint64_t bound) {
    return static_cast<uint64_t>(unit() * static_cast<double>(bound)) % bound;
}

double Random::unit() {
    return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

std::string secureRandomBytes(size_t count) {
    std::string bytes(count, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) != 1)
        std::abort();
    return bytes;
}

}  // namespace regrow
