#include "proxy/http/basic_credentials.h"

#include "base/http/chars.h"

namespace regrow::proxy {
namespace {

constexpr std::string_view kScheme = "basic ";
constexpr size_t kLongest = 1024;

int valueOf(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// RFC 4648 section 4, with its padding, and nothing in the bits that no byte has.
std::optional<std::string> decodeBase64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::string bytes;
    while (!text.empty()) {
        const size_t padding = text.size() > 4 ? 0 : text.ends_with("==") ? 2 : text.ends_with('=');
        uint32_t bits = 0;
        for (size_t i = 0; i < 4; ++i) {
            const int value = i >= 4 - padding ? 0 : valueOf(text[i]);
            if (value < 0) return std::nullopt;
            bits = bits << 6 | static_cast<uint32_t>(value);
        }
        if ((bits & ((1U << (8 * padding)) - 1)) != 0) return std::nullopt;
        for (size_t i = 0; i < 3 - padding; ++i)
            bytes += static_cast<char>(bits >> (16 - 8 * i) & 0xff);
        text.remove_prefix(4);
    }
    return bytes;
}

}  // namespace

std::string_view basicToken(const http::FieldList& fields) {
    std::string_view token;
    for (const http::Field& f : fields) {
        if (f.id != http::FieldId::authorization || f.drop) continue;
        const std::string_view value = f.value();
        const bool basic = value.size() > kScheme.size() && value.size() <= kLongest &&
                           http::equalsIgnoringCase(value.substr(0, kScheme.size()), kScheme);
        if (!basic || !token.empty()) return {};
        token = http::trimBlanks(value.substr(kScheme.size()));
    }
    return token;
}

std::optional<BasicCredentials> decodeBasic(std::string_view token) {
    auto text = decodeBase64(token);
    if (!text) return std::nullopt;
    const size_t colon = text->find(':');
    if (colon == std::string::npos) return std::nullopt;
    return BasicCredentials{text->substr(0, colon), text->substr(colon + 1)};
}

}  // namespace regrow::proxy
