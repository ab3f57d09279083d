#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/balance/route_conditions.h"

namespace regrow {

// The routes of one host, found by path: exact paths hashed, prefixes sorted and searched, so that
// a thousand cost what one does. Each prefix carries the earliest unconditional route among itself
// and the prefixes of it, so the longest match answers for all of them; routes with conditions
// hang where their path is and are walked only when it matches. Immutable after seal(); no
// allocation in first().
class PathIndex {
  public:
    static constexpr uint32_t kNone = UINT32_MAX;

    void add(std::string_view path, bool exact, uint32_t rule, bool conditional);
    void seal();  // after the last add(), which came in the order of the rules

    // The earliest rule below `best` that takes the request; else `best`.
    uint32_t first(const RouteQuery& query, const std::vector<RouteConditions>& conditions,
                   uint32_t best) const;

  private:
    struct Rules {
        uint32_t plain = kNone;             // the earliest without conditions
        std::vector<uint32_t> conditional;  // in order, those before it
        void add(uint32_t rule, bool with_conditions);
        uint32_t first(const RouteQuery& query, const std::vector<RouteConditions>& conditions,
                       uint32_t best) const;
    };
    struct Entry {
        std::string prefix;
        Rules rules;
        uint32_t parent = kNone;  // index of the longest other prefix this one starts with
        // The nearest among itself and its parents that has conditional rules.
        uint32_t conditional = kNone;
    };
    // A stored path is canonical already; one that is looked up is not.
    struct Raw {
        std::string_view path;
    };
    struct Hash {
        using is_transparent = void;
        size_t operator()(const std::string& canonical) const;
        size_t operator()(Raw raw) const;
    };
    struct Equal {
        using is_transparent = void;
        bool operator()(const std::string& a, const std::string& b) const { return a == b; }
        bool operator()(Raw a, const std::string& b) const;
        bool operator()(const std::string& a, Raw b) const { return (*this)(b, a); }
    };
    void link(size_t index);
    uint32_t longest(std::string_view path) const;

    std::vector<Entry> entries_;
    std::unordered_map<std::string, size_t> places_;  // of prefixes, while they are added
    std::unordered_map<std::string, Rules, Hash, Equal> exact_;
};

}  // namespace regrow
