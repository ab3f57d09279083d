#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// Which pool a request goes to: the first route, as configured, whose host is the request's (or
// "*") and whose path is a prefix of the request's. Immutable, shared by all workers; no allocation
// in route().
//
// The cost does not grow with the number of routes: one hash look-up for the host and one binary
// search over sorted prefixes. Each prefix carries the earliest route among itself and the prefixes
// of it, so the longest match answers for all of them.
//
// "Prefix" is literal: "/app" also takes "/apple"; write "/app/" to mean the segment. Paths are
// compared raw, as they are forwarded, except that a percent-encoded unreserved character (RFC
// 3986 2.3: "%61" is "a") is the same as the plain one.
namespace regrow {

struct RouteRule {
    std::string host = "*";
    std::string path = "/";
    uint32_t pool = 0;
};

class Router {
  public:
    explicit Router(const std::vector<RouteRule>& rules);

    // `host` without port, any case, one trailing dot allowed, empty when unknown; `path` as
    // http::RequestHead::path. Nothing: no route wants it (404).
    std::optional<uint32_t> route(std::string_view host, std::string_view path) const;

  private:
    static constexpr uint32_t kNone = UINT32_MAX;

    // The prefixes of one host (or of "*"), sorted.
    class Prefixes {
      public:
        void add(std::string prefix, uint32_t rule) {
            entries_.push_back({std::move(prefix), rule});
        }
        void seal();                                  // after the last add()
        uint32_t first(std::string_view path) const;  // the earliest rule that matches, or kNone

      private:
        struct Entry {
            std::string prefix;
            uint32_t rule;            // the earliest among this prefix and those it starts with
            uint32_t parent = kNone;  // index of the longest other prefix this one starts with
        };
        void link(size_t index);
        std::vector<Entry> entries_;
    };
    struct HostHash {
        using is_transparent = void;
        size_t operator()(std::string_view host) const;
    };
    struct HostEqual {
        using is_transparent = void;
        bool operator()(std::string_view a, std::string_view b) const;
    };

    Prefixes any_host_;
    std::unordered_map<std::string, Prefixes, HostHash, HostEqual> hosts_;
    std::vector<uint32_t> pools_;  // by rule
};

}  // namespace regrow
