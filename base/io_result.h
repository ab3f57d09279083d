#pragma once

#include <cstddef>
#include <cstdint>

namespace regrow {

// What a read or write came to. "Would block" and "closed" are outcomes, not errors.
struct IoResult {
    enum class Kind : uint8_t { bytes, would_block, closed, failed };
    Kind kind = Kind::would_block;
    size_t bytes = 0;
    int error = 0;  // errno, for failed
};

}  // namespace regrow
