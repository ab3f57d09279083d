#include "proxy/balance/router.h"

#include <algorithm>

#include "base/http/chars.h"

namespace regrow {
namespace {

std::string_view withoutTrailingDot(std::string_view host) {
    if (host.ends_with('.')) host.remove_suffix(1);
    return host;
}

}  // namespace

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

PathIndex& Router::indexOf(std::string_view host) {
    if (host == "*") return any_host_;
    host = withoutTrailingDot(host);
    if (!host.starts_with("*.")) return hosts_[std::string(host)];
    host.remove_prefix(2);
    const auto labels = static_cast<size_t>(std::ranges::count(host, '.')) + 1;
    most_labels_ = std::max(most_labels_, labels);
    return below_[std::string(host)];
}

Router::Router(const std::vector<RouteRule>& rules) {
    for (const RouteRule& rule : rules) {
        const auto index = static_cast<uint32_t>(conditions_.size());
        conditions_.emplace_back(rule.methods, rule.headers);
        indexOf(rule.host).add(rule.path, rule.exact, index, conditions_.back().any());
    }
    any_host_.seal();
    for (auto& [host, paths] : hosts_) paths.seal();
    for (auto& [host, paths] : below_) paths.seal();
}

// Label by label from the right, and no further than a wildcard reaches, so that a host of a
// thousand dots costs no more than another.
uint32_t Router::amongWildcards(const RouteQuery& query, uint32_t best) const {
    if (query.host.size() > kLongestHost) return best;
    size_t dot = query.host.rfind('.');
    for (size_t labels = 0; labels < most_labels_; ++labels) {
        if (dot == std::string_view::npos || dot == 0) break;
        if (const auto found = below_.find(query.host.substr(dot + 1)); found != below_.end())
            best = found->second.first(query, conditions_, best);
        dot = query.host.rfind('.', dot - 1);
    }
    return best;
}

std::optional<uint32_t> Router::route(RouteQuery query) const {
    if (query.path == "*") query.path = "/";  // OPTIONS * asks about the whole server
    query.host = withoutTrailingDot(query.host);
    uint32_t rule = any_host_.first(query, conditions_, PathIndex::kNone);
    if (!hosts_.empty())
        if (const auto exact = hosts_.find(query.host); exact != hosts_.end())
            rule = exact->second.first(query, conditions_, rule);
    if (!below_.empty()) rule = amongWildcards(query, rule);
    return rule == PathIndex::kNone ? std::nullopt : std::optional(rule);
}

}  // namespace regrow
