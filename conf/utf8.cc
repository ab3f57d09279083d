#include "conf/utf8.h"

#include <array>
#include <cstdint>

namespace regrow::conf {
namespace {

struct Form {
    uint8_t mask;
    uint8_t lead;
    size_t length;
    uint32_t smallest;  // code point that needs this length
};
constexpr std::array<Form, 4> kForms{
    {{0x80, 0x00, 1, 0}, {0xE0, 0xC0, 2, 0x80}, {0xF0, 0xE0, 3, 0x800}, {0xF8, 0xF0, 4, 0x10000}}};

bool allowed(uint32_t code) {
    if (code < 0x20) return code == '\t' || code == '\n' || code == '\r';
    return code != 0x7F && !(code >= 0xD800 && code <= 0xDFFF) && code <= 0x10FFFF;
}

// Length of the well-formed character at the front, or 0.
size_t characterLength(std::string_view text) {
    const auto first = static_cast<uint8_t>(text.front());
    for (const auto& form : kForms) {
        if ((first & form.mask) != form.lead) continue;
        if (text.size() < form.length) return 0;
        uint32_t code = first & static_cast<uint8_t>(~form.mask);
        for (size_t i = 1; i < form.length; ++i) {
            const auto byte = static_cast<uint8_t>(text[i]);
            if ((byte & 0xC0) != 0x80) return 0;
            code = code << 6 | (byte & 0x3F);
        }
        return code >= form.smallest && allowed(code) ? form.length : 0;
    }
    return 0;
}

}  // namespace

std::optional<size_t> firstBadByte(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
        const size_t length = characterLength(text.substr(at));
        if (length == 0) return at;
        at += length;
    }
    return std::nullopt;
}

}  // namespace regrow::conf
