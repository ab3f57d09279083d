#include "proxy/net/sni_table.h"

#include <algorithm>
#include <array>

namespace regrow::net {
namespace {

constexpr size_t kLongestName = 253;  // of a DNS name

uint32_t in(const auto& names, std::string_view name) {
    const auto at = names.find(name);
    return at == names.end() ? SniTable::kNone : at->second;
}

}  // namespace

void SniTable::add(std::string_view name, uint32_t index) {
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.starts_with("*."))
        wildcard_.emplace(name.substr(2), index);
    else
        exact_.emplace(name, index);
}

uint32_t SniTable::find(std::string_view host) const {
    if (host.ends_with('.')) host.remove_suffix(1);
    if (host.size() > kLongestName) return kNone;
    std::array<char, kLongestName> text;
    std::ranges::transform(host, text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    const std::string_view name(text.data(), host.size());
    if (const uint32_t found = in(exact_, name); found != kNone) return found;
    const size_t dot = name.find('.');
    return dot == 0 || dot == std::string_view::npos ? kNone : in(wildcard_, name.substr(dot + 1));
}

}  // namespace regrow::net
