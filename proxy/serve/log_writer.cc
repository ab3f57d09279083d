#include "proxy/serve/log_writer.h"

#include <algorithm>

namespace regrow::serve {
namespace {

bool plain(char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

}  // namespace

LogWriter& LogWriter::escaped(std::string_view text, size_t most) {
    const bool cut = text.size() > most;
    if (cut) text = text.substr(0, most);
    while (true) {
        const auto* const odd = std::ranges::find_if_not(text, plain);
        *this << std::string_view(text.begin(), odd);
        if (odd == text.end()) break;
        escape(static_cast<unsigned char>(*odd));
        text.remove_prefix(static_cast<size_t>(odd - text.begin()) + 1);
    }
    return cut ? *this << "..." : *this;
}

void LogWriter::escape(unsigned char byte) {
    constexpr std::string_view kHex = "0123456789abcdef";
    if (byte == '"' || byte == '\\') {
        const char quoted[] = {'\\', static_cast<char>(byte)};
        *this << std::string_view(quoted, sizeof quoted);
        return;
    }
    const char hex[] = {kHex[byte >> 4], kHex[byte & 15]};
    *this << (json_ ? "\\u00" : "\\x") << std::string_view(hex, sizeof hex);
}

}  // namespace regrow::serve
