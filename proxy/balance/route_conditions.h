#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http/head.h"
#include "proxy/http/forward.h"

namespace regrow {

// What a router looks at. Borrowed for one call.
struct RouteQuery {
    std::string_view host;  // without port, any case, one trailing dot allowed; empty when unknown
    std::string_view path;  // as http::RequestHead::path
    http::Method method = http::Method::get;
    std::string_view method_text = "GET";
    const http::FieldList* fields = nullptr;
    // Whose word they are; nullptr: believed whatever they say.
    const proxy::ClientIdentity* client = nullptr;
};

// What a route asks of a request beyond host and path. Immutable.
class RouteConditions {
  public:
    using Headers = std::vector<std::pair<std::string, std::string>>;
    RouteConditions(const std::vector<std::string>& methods, const Headers& headers);

    bool any() const { return methods_ != 0 || !other_methods_.empty() || !headers_.empty(); }
    bool hold(const RouteQuery& query) const;

  private:
    bool methodHolds(const RouteQuery& query) const;

    uint32_t methods_ = 0;  // a bit each of http::Method
    std::vector<std::string> other_methods_;
    Headers headers_;  // the value "*": any
};

}  // namespace regrow
