#pragma once

#include <string>
#include <string_view>

#include "base/http/chars.h"

// Paths as routes compare them: raw, as they are forwarded, except that a percent-encoded
// unreserved character (RFC 3986 2.3: "%61" is "a") is the same as the plain one. Pure.
namespace regrow {

// The next character as the URI means it: an encoded unreserved one is itself (RFC 3986 6.2.2.2),
// all else stays raw.
inline char takeChar(std::string_view& path) {
    const int decoded = path[0] == '%' ? http::percentByte(path) : -1;
    const bool plain = decoded > 0 && http::is(static_cast<char>(decoded), http::kUnreserved);
    const char c = plain ? static_cast<char>(decoded) : path[0];
    path.remove_prefix(plain ? 3 : 1);
    return c;
}

// Below 0, 0 or above 0: the prefix (canonical) sorts before the path (raw), is a prefix of it, or
// sorts after it. What follows the prefix is left in `path`.
inline int comparePrefix(std::string_view prefix, std::string_view& path) {
    for (const char c : prefix) {
        if (path.empty()) return 1;
        const int difference =
            static_cast<unsigned char>(c) - static_cast<unsigned char>(takeChar(path));
        if (difference != 0) return difference;
    }
    return 0;
}

inline std::string canonicalPath(std::string_view path) {
    std::string plain;
    while (!path.empty()) plain += takeChar(path);
    return plain;
}

// What follows a prefix that matches; the bytes as they are in `path`.
inline std::string_view restAfter(std::string_view prefix, std::string_view path) {
    comparePrefix(prefix, path);
    return path;
}

}  // namespace regrow
