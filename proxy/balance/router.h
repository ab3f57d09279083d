#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/balance/path_index.h"

// Which rule a request falls under: the first one, as configured, whose host, path, method and
// headers are the request's. Immutable, shared by all workers; no allocation in route().
//
// The cost does not grow with the number of routes: one hash look-up for the host and one for each
// of its labels that a wildcard may stand for, then one look-up by path in each (path_index.h).
// Only rules with conditions on the same host and path are tried one after the other.
//
// "Prefix" is literal: "/app" also takes "/apple"; write "/app/" to mean the segment.
namespace regrow {

struct RouteRule {
    std::string host = "*";  // lower case; exact, "*.example.org" for all below it, or "*"
    std::string path = "/";
    bool exact = false;  // the path is the whole one, not a prefix
    std::vector<std::string> methods = {};
    RouteConditions::Headers headers = {};
};

class Router {
  public:
    explicit Router(const std::vector<RouteRule>& rules);

    // The rule's index. Nothing: no route wants it (404).
    std::optional<uint32_t> route(RouteQuery query) const;
    std::optional<uint32_t> route(std::string_view host, std::string_view path) const {
        return route(RouteQuery{.host = host, .path = path});
    }
    std::optional<uint32_t> route(const http::RequestHead& head,
                                  const proxy::ClientIdentity* client = nullptr) const {
        return route(
            RouteQuery{head.host, head.path, head.method, head.method_text, &head.fields, client});
    }

  private:
    static constexpr size_t kLongestHost = 255;  // of a name that DNS could have (RFC 1035 2.3.4)

    struct HostHash {
        using is_transparent = void;
        size_t operator()(std::string_view host) const;
    };
    struct HostEqual {
        using is_transparent = void;
        bool operator()(std::string_view a, std::string_view b) const;
    };
    using Hosts = std::unordered_map<std::string, PathIndex, HostHash, HostEqual>;

    PathIndex& indexOf(std::string_view host);
    uint32_t amongWildcards(const RouteQuery& query, uint32_t best) const;

    PathIndex any_host_;
    Hosts hosts_;
    Hosts below_;                              // "*.example.org" under "example.org"
    size_t most_labels_ = 0;                   // that a name in below_ has
    std::vector<RouteConditions> conditions_;  // by rule
};

}  // namespace regrow
