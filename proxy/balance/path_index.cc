#include "proxy/balance/path_index.h"

#include <algorithm>

#include "proxy/balance/path_text.h"

namespace regrow {
namespace {

// FNV-1a (Fowler, Noll, Vo).
constexpr uint64_t kBasis = 0xcbf29ce484222325;
constexpr uint64_t step(uint64_t hash, char c) {
    return (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
}

}  // namespace

size_t PathIndex::Hash::operator()(const std::string& canonical) const {
    uint64_t hash = kBasis;
    for (const char c : canonical) hash = step(hash, c);
    return hash;
}

size_t PathIndex::Hash::operator()(Raw raw) const {
    uint64_t hash = kBasis;
    while (!raw.path.empty()) hash = step(hash, takeChar(raw.path));
    return hash;
}

bool PathIndex::Equal::operator()(Raw a, const std::string& b) const {
    return comparePrefix(b, a.path) == 0 && a.path.empty();
}

// What comes after a rule without conditions is never reached at this path.
void PathIndex::Rules::add(uint32_t rule, bool with_conditions) {
    if (plain != kNone) return;
    if (with_conditions)
        conditional.push_back(rule);
    else
        plain = rule;
}

uint32_t PathIndex::Rules::first(const RouteQuery& query,
                                 const std::vector<RouteConditions>& conditions,
                                 uint32_t best) const {
    for (const uint32_t rule : conditional) {
        if (rule >= best) break;
        if (conditions[rule].hold(query)) return rule;
    }
    return best;
}

void PathIndex::add(std::string_view path, bool exact, uint32_t rule, bool conditional) {
    std::string canonical = canonicalPath(path);
    if (exact) return exact_[std::move(canonical)].add(rule, conditional);
    const auto [place, fresh] = places_.emplace(canonical, entries_.size());
    if (fresh) entries_.push_back({.prefix = std::move(canonical), .rules = {}});
    entries_[place->second].rules.add(rule, conditional);
}

// Between an entry and the ones it starts with, sorted order has only entries that start with those
// too: its parent is the entry before it, or one of that one's parents.
void PathIndex::link(size_t index) {
    Entry& entry = entries_[index];
    uint32_t parent = index == 0 ? kNone : static_cast<uint32_t>(index - 1);
    while (parent != kNone && !entry.prefix.starts_with(entries_[parent].prefix))
        parent = entries_[parent].parent;
    entry.parent = parent;
    if (!entry.rules.conditional.empty())
        entry.conditional = static_cast<uint32_t>(index);
    else if (parent != kNone)
        entry.conditional = entries_[parent].conditional;
    if (parent != kNone)
        entry.rules.plain = std::min(entry.rules.plain, entries_[parent].rules.plain);
}

void PathIndex::seal() {
    places_.clear();
    std::ranges::sort(entries_, {}, &Entry::prefix);
    for (size_t i = 0; i < entries_.size(); ++i) link(i);
}

uint32_t PathIndex::longest(std::string_view path) const {
    const auto after = std::upper_bound(
        entries_.begin(), entries_.end(), path,
        [](std::string_view p, const Entry& e) { return comparePrefix(e.prefix, p) > 0; });
    auto at = static_cast<uint32_t>(after - entries_.begin());
    for (at = at == 0 ? kNone : at - 1; at != kNone; at = entries_[at].parent) {
        std::string_view rest = path;
        if (comparePrefix(entries_[at].prefix, rest) == 0) return at;
    }
    return kNone;
}

uint32_t PathIndex::first(const RouteQuery& query, const std::vector<RouteConditions>& conditions,
                          uint32_t best) const {
    if (!exact_.empty()) {
        if (const auto exact = exact_.find(Raw{query.path}); exact != exact_.end()) {
            best = std::min(best, exact->second.plain);
            best = exact->second.first(query, conditions, best);
        }
    }
    const uint32_t at = longest(query.path);
    if (at == kNone) return best;
    best = std::min(best, entries_[at].rules.plain);
    uint32_t with = entries_[at].conditional;
    while (with != kNone) {
        best = entries_[with].rules.first(query, conditions, best);
        const uint32_t parent = entries_[with].parent;
        with = parent == kNone ? kNone : entries_[parent].conditional;
    }
    return best;
}

}  // namespace regrow
