#include "proxy/balance/route_conditions.h"

#include <algorithm>

#include "base/http/chars.h"

namespace regrow {
namespace {

constexpr uint32_t bitOf(http::Method method) {
    return 1U << static_cast<uint32_t>(method);
}

// A field may come several times; what goes no further (Connection's, aliases, what only a trusted
// proxy may say) is not there.
bool holds(const std::pair<std::string, std::string>& wanted, const RouteQuery& query) {
    return std::ranges::any_of(*query.fields, [&](const http::Field& f) {
        return !f.drop && http::equalsIgnoringCase(f.name(), wanted.first) &&
               (wanted.second == "*" || f.value() == wanted.second) &&
               (!query.client || proxy::believed(f, *query.client));
    });
}

}  // namespace

RouteConditions::RouteConditions(const std::vector<std::string>& methods, const Headers& headers)
    : headers_(headers) {
    for (const std::string& text : methods) {
        const http::Method method = http::methodOf(text);
        if (method == http::Method::other)
            other_methods_.push_back(text);
        else
            methods_ |= bitOf(method);
    }
}

bool RouteConditions::methodHolds(const RouteQuery& query) const {
    if (methods_ == 0 && other_methods_.empty()) return true;
    if (query.method != http::Method::other) return (methods_ & bitOf(query.method)) != 0;
    return std::ranges::find(other_methods_, query.method_text) != other_methods_.end();
}

bool RouteConditions::hold(const RouteQuery& query) const {
    if (!methodHolds(query)) return false;
    if (headers_.empty()) return true;
    return query.fields &&
           std::ranges::all_of(headers_, [&](const auto& wanted) { return holds(wanted, query); });
}

}  // namespace regrow
