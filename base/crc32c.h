#pragma once

#include <cstdint>
#include <string_view>

namespace regrow {

// CRC-32C: the polynomial of Castagnoli, Bräuer and Herrmann (1993), reflected, by Sarwate's byte
// table (1988). Slow beside hardware's, and still a thousand times faster than the fdatasync or the
// connect that follows. `before`: the checksum of the bytes in front of these.
uint32_t crc32c(std::string_view bytes, uint32_t before = 0);

}  // namespace regrow
