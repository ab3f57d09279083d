#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace regrow {

using Hash128 = std::array<uint64_t, 2>;

// SipHash-2-4 with 128 bits of output (Aumasson, Bernstein 2012): a hash that nobody without the
// key can steer, for tables that outsiders fill. Fast for short input; pure.
Hash128 sipHash(const Hash128& key, std::string_view bytes);

}  // namespace regrow
