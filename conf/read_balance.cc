#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "conf/sections.h"

namespace regrow::conf {
namespace {

// RFC 9110 5.6.2: what names of fields and cookies are made of.
bool isToken(std::string_view text) {
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               kMarks.find(c) != std::string_view::npos;
    });
}

void readOn(const Reader& reader, HashKey& hash) {
    std::string text;
    reader.get("on", text);
    if (text.empty()) return;
    const std::string_view on(text);
    const std::string_view kind = on.substr(0, on.find(' '));
    const std::string_view name = kind.size() < on.size() ? on.substr(kind.size() + 1) : "";
    const bool named = kind == "header" || kind == "cookie";
    if ((kind != "ip" && kind != "path" && !named) || (!named && kind.size() != on.size()))
        return reader.complain(
            "on", fmt::format("must be ip, path, header NAME or cookie NAME, not '{}'", text));
    if (named && !isToken(name))
        return reader.complain("on",
                               fmt::format("names no {0}; write for example '{0} X-User'", kind));
    hash.on = kind == "ip"       ? HashOn::ip
              : kind == "path"   ? HashOn::path
              : kind == "header" ? HashOn::header
                                 : HashOn::cookie;
    hash.name = name;
}

}  // namespace

Balance readBalance(const Reader& reader, HashKey& hash) {
    // `hash: {on: …}` is the one balancer written as a map.
    const Node* node = reader.value("balance");
    if (node && node->kind == NodeKind::map) {
        if (const auto map = reader.section("balance"))
            if (const auto section = map->section("hash")) {
                readOn(*section, hash);
                section->get("bound", hash.bound);
            }
        return Balance::hash;
    }
    if (node && node->kind == NodeKind::scalar && node->text == "hash") {
        reader.complain("balance", "needs to know what it goes by; write {hash: {on: ip}}");
        return Balance::hash;
    }
    std::string balance = "least_requests";
    reader.get("balance", balance);
    if (balance == "round_robin") return Balance::round_robin;
    if (balance == "random_two") return Balance::random_two;
    if (balance == "ewma") return Balance::ewma;
    return Balance::least_requests;
}

std::string readAffinity(const Reader& reader) {
    std::string cookie;
    reader.get("cookie", cookie);
    if (!cookie.empty() && !isToken(cookie)) {
        reader.complain("cookie", fmt::format("'{}' is no name of a cookie; use letters, digits, "
                                              "'_' and '-', without '=', ';' or spaces",
                                              cookie));
        cookie.clear();
    }
    return cookie;
}

}  // namespace regrow::conf
