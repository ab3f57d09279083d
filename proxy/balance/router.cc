#include "proxy/balance/router.h"

#include <algorithm>
#include <tuple>

#include "base/http/chars.h"

namespace regrow {
namespace {

// The next character as the URI means it: an encoded unreserved one is itself (RFC 3986 6.2.2.2),
// all else stays raw.
char takeChar(std::string_view& path) {
    const int decoded = path[0] == '%' ? http::percentByte(path) : -1;
    const bool plain = decoded > 0 && http::is(static_cast<char>(decoded), http::kUnreserved);
    const char c = plain ? static_cast<char>(decoded) : path[0];
    path.remove_prefix(plain ? 3 : 1);
    return c;
}

// Below 0, 0 or above 0: the prefix sorts before the path, is a prefix of it, or sorts after it.
int compare(std::string_view prefix, std::string_view path) {
    for (const char c : prefix) {
        if (path.empty()) return 1;
        const int difference =
            static_cast<unsigned char>(c) - static_cast<unsigned char>(takeChar(path));
        if (difference != 0) return difference;
    }
    return 0;
}

std::string canonical(std::string_view path) {
    std::string plain;
    while (!path.empty()) plain += takeChar(path);
    return plain;
}

std::string_view withoutTrailingDot(std::string_view host) {
    if (host.ends_with('.')) host.remove_suffix(1);
    return host;
}

}  // namespace

// Between an entry and the ones it starts with, sorted order has only entries that start with those
// too: its parent is the entry before it, or one of that one's parents.
void Router::Prefixes::link(size_t index) {
    Entry& entry = entries_[index];
    uint32_t parent = index == 0 ? kNone : static_cast<uint32_t>(index - 1);
    while (parent != kNone && !entry.prefix.starts_with(entries_[parent].prefix))
        parent = entries_[parent].parent;
    entry.parent = parent;
    if (parent != kNone) entry.rule = std::min(entry.rule, entries_[parent].rule);
}

void Router::Prefixes::seal() {
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
        return std::tie(a.prefix, a.rule) < std::tie(b.prefix, b.rule);
    });
    // Of equal prefixes the earliest route is first and stays.
    const auto same = [](const Entry& a, const Entry& b) { return a.prefix == b.prefix; };
    entries_.erase(std::unique(entries_.begin(), entries_.end(), same), entries_.end());
    for (size_t i = 0; i < entries_.size(); ++i) link(i);
}

uint32_t Router::Prefixes::first(std::string_view path) const {
    const auto after = std::upper_bound(
        entries_.begin(), entries_.end(), path,
        [](std::string_view p, const Entry& e) { return compare(e.prefix, p) > 0; });
    auto at = static_cast<uint32_t>(after - entries_.begin());
    for (at = at == 0 ? kNone : at - 1; at != kNone; at = entries_[at].parent)
        if (compare(entries_[at].prefix, path) == 0) return entries_[at].rule;
    return kNone;
}

// FNV-1a (Fowler, Noll, Vo) over lower case.
size_t Router::HostHash::operator()(std::string_view host) const {
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : host)
        hash = (hash ^ static_cast<unsigned char>(http::lower(c))) * 0x100000001b3;
    return hash;
}

bool Router::HostEqual::operator()(std::string_view a, std::string_view b) const {
    return http::equalsIgnoringCase(a, b);
}

Router::Router(const std::vector<RouteRule>& rules) {
    for (const RouteRule& rule : rules) {
        const auto index = static_cast<uint32_t>(pools_.size());
        Prefixes& prefixes =
            rule.host == "*" ? any_host_ : hosts_[std::string(withoutTrailingDot(rule.host))];
        prefixes.add(canonical(rule.path), index);
        pools_.push_back(rule.pool);
    }
    any_host_.seal();
    for (auto& [host, prefixes] : hosts_) prefixes.seal();
}

std::optional<uint32_t> Router::route(std::string_view host, std::string_view path) const {
    if (path == "*") path = "/";  // OPTIONS * asks about the whole server
    uint32_t rule = any_host_.first(path);
    if (!hosts_.empty()) {
        const auto exact = hosts_.find(withoutTrailingDot(host));
        if (exact != hosts_.end()) rule = std::min(rule, exact->second.first(path));
    }
    return rule == kNone ? std::nullopt : std::optional(pools_[rule]);
}

}  // namespace regrow
