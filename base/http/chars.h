#pragma once

#include <array>
#include <cstdint>
#include <string_view>

// Character classes of RFC 9110 and 3986, as one table of bits.
namespace regrow::http {

enum CharClass : uint8_t {
    kToken = 1,       // tchar: methods, field names, list tokens
    kPathChar = 2,    // may stand raw in a path
    kQueryChar = 4,   // may stand raw in a query
    kHostChar = 8,    // may stand in a host that is no address in brackets
    kPathWatch = 16,  // '%' or '.': the path needs the closer look
    kUnreserved = 32  // RFC 3986 2.3: the same URI whether percent-encoded or not
};

namespace detail {
constexpr bool contains(std::string_view set, char c) {
    return set.find(c) != std::string_view::npos;
}

constexpr uint8_t classesOf(char c) {
    const bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    uint8_t bits = 0;
    if (alnum || contains("!#$%&'*+-.^_`|~", c)) bits |= kToken;
    // Browsers send | ^ [ ] { } ` raw; only what RFC 3986 delimits with, and what some servers take
    // for '/', stays out.
    const bool visible = c > 0x20 && c < 0x7f && !contains("#\"<>", c);
    if (visible && c != '?' && c != '\\') bits |= kPathChar;
    if (visible) bits |= kQueryChar;
    if (alnum || contains("-._", c)) bits |= kHostChar;
    if (c == '%' || c == '.') bits |= kPathWatch;
    if (alnum || contains("-._~", c)) bits |= kUnreserved;
    return bits;
}

constexpr std::array<uint8_t, 256> makeCharTable() {
    std::array<uint8_t, 256> table{};
    for (int c = 0; c < 128; ++c) table[static_cast<size_t>(c)] = classesOf(static_cast<char>(c));
    return table;
}
inline constexpr std::array<uint8_t, 256> kCharTable = makeCharTable();
}  // namespace detail

constexpr uint8_t classes(char c) {
    return detail::kCharTable[static_cast<unsigned char>(c)];
}
constexpr bool is(char c, CharClass wanted) {
    return (classes(c) & wanted) != 0;
}

// Not empty, and every byte of that class.
constexpr bool all(std::string_view text, CharClass wanted) {
    uint8_t bits = 0xff;
    for (const char c : text) bits &= classes(c);
    return !text.empty() && (bits & wanted) != 0;
}

constexpr char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

constexpr bool equalsIgnoringCase(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

constexpr std::string_view trimBlanks(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// -1 when it is no hexadecimal digit.
constexpr int hexValue(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char l = lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

// The byte a "%XX" at the front of `text` stands for, or -1.
constexpr int percentByte(std::string_view text) {
    if (text.size() < 3 || text[0] != '%') return -1;
    const int high = hexValue(text[1]), low = hexValue(text[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// Takes the next element off a comma-separated list, trimmed; elements may be empty. False at the
// end.
constexpr bool nextElement(std::string_view& list, std::string_view& element) {
    if (list.data() == nullptr) return false;
    const size_t comma = list.find(',');
    element = trimBlanks(list.substr(0, comma));
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    return true;
}

}  // namespace regrow::http
