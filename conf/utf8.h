#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace regrow::conf {

// The offset of the first byte that is not part of well-formed UTF-8 (RFC 3629: no overlong forms,
// no surrogates) or is a control character YAML forbids; nothing when all is well.
std::optional<size_t> firstBadByte(std::string_view text);

}  // namespace regrow::conf
