#pragma once

#include <string>
#include <string_view>

#include "base/http/parser.h"

// Feeding heads to the parsers in pieces.
namespace regrow::test {

template <class Head>
struct ParserOf;
template <>
struct ParserOf<http::RequestHead> {
    using Type = http::RequestParser;
};
template <>
struct ParserOf<http::ResponseHead> {
    using Type = http::ResponseParser;
};

template <class Head>
http::ParseResult parseWhole(std::string_view text, Head& head,
                             const http::HeadLimits& limits = {}) {
    typename ParserOf<Head>::Type parser;
    return parser.parse(text, head, limits);
}

// Feeds `text` up to each of `ends` in turn, from a buffer that moves every time, so that views
// left behind are seen by the address sanitizer. `storage` keeps the last buffer, into which `head`
// points.
template <class Head, class Ends>
http::ParseResult parseInPieces(std::string_view text, const Ends& ends, Head& head,
                                std::string& storage) {
    typename ParserOf<Head>::Type parser;
    http::ParseResult result;
    for (const size_t end : ends) {
        std::string moved(text.substr(0, end));
        moved.reserve(text.size() +
                      32);  // never in the string itself, so that swap keeps the address
        result = parser.parse(moved, head);
        storage.swap(moved);
        if (result.outcome != http::Outcome::need_more) break;
    }
    return result;
}

// Everything a request head says, in one line to compare.
inline std::string describe(const http::RequestHead& h) {
    std::string out = std::string(h.method_text) + " " + std::string(h.path) + " " +
                      std::string(h.query) + " host=" + std::string(h.authority) +
                      " minor=" + (h.version == http::Version::http11 ? "1" : "0");
    out += h.body.kind == http::BodyKind::chunked ? " chunked"
           : h.has_content_length                 ? " " + std::to_string(h.body.length)
                                                  : " none";
    out += h.keep_alive ? " keep" : " close";
    out += " upgrade=" + std::string(h.upgrade) + (h.expect_continue ? " expect" : "");
    for (const auto& f : h.fields)
        out += "|" + std::string(f.name()) + "=" + std::string(f.value());
    return out;
}

}  // namespace regrow::test
