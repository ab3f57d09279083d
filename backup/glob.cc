#include "backup/glob.h"

#include <cstddef>
#include <optional>

namespace regrow::backup {
namespace {

struct Set {
    bool matches;
    size_t length;  // of the whole "[…]" in the pattern
};

// The set at the start of `p` against one byte; nothing when "[" is never closed (then it is a
// plain byte).
std::optional<Set> matchSet(std::string_view p, unsigned char byte) {
    const auto at = [&](size_t k) { return static_cast<unsigned char>(p[k]); };
    size_t i = 1;
    const bool negated = i < p.size() && (p[i] == '!' || p[i] == '^');
    if (negated) ++i;
    bool found = false;
    for (bool first = true; i < p.size(); first = false) {
        if (p[i] == ']' && !first) return Set{found != negated && byte != '/', i + 1};
        if (i + 2 < p.size() && p[i + 1] == '-' && p[i + 2] != ']') {
            found = found || (at(i) <= byte && byte <= at(i + 2));
            i += 3;
        } else {
            found = found || at(i) == byte;
            ++i;
        }
    }
    return std::nullopt;
}

// Bytes of the pattern that match the one byte `c`, or 0.
size_t matchOne(std::string_view p, char c) {
    if (p.empty()) return 0;
    if (p[0] == '?') return c == '/' ? 0 : 1;
    if (p[0] == '[')
        if (const auto set = matchSet(p, static_cast<unsigned char>(c)))
            return set->matches ? set->length : 0;
    if (p[0] == '\\' && p.size() > 1) return p[1] == c ? 2 : 0;
    return p[0] == c && p[0] != '*' ? 1 : 0;
}

// Where to go on after a mismatch: the last star seen of one kind.
struct Star {
    size_t pattern = std::string_view::npos;
    size_t text = 0;
    bool set() const { return pattern != std::string_view::npos; }
};

}  // namespace

// Two backtrack points (last `*`, last `**`) suffice: an earlier star of the same kind can only
// take what the later one could take as well. So the time is bounded by pattern x text x text,
// whatever the pattern.
bool globMatches(std::string_view p, std::string_view t) {
    size_t i = 0;
    size_t k = 0;
    Star one;
    Star two;
    while (true) {
        if (i < p.size() && p[i] == '*') {
            const bool deep = i + 1 < p.size() && p[i + 1] == '*';
            i += deep ? 2 : 1;
            if (deep && i < p.size() && p[i] == '/' && (i == 2 || p[i - 3] == '/')) {
                // "**/" also matches nothing at all.
                if (globMatches(p.substr(i + 1), t.substr(k))) return true;
            }
            (deep ? two : one) = {i, k};
            if (deep) one = {};
            continue;
        }
        if (k == t.size() && i == p.size()) return true;
        if (k < t.size())
            if (const size_t n = matchOne(p.substr(i), t[k])) {
                i += n;
                ++k;
                continue;
            }
        if (one.set() && one.text < t.size() && t[one.text] != '/') {
            i = one.pattern;
            k = ++one.text;
        } else if (two.set() && two.text < t.size()) {
            i = two.pattern;
            k = ++two.text;
            one = {};
        } else {
            return false;
        }
    }
}

PathPatterns::PathPatterns(const std::vector<std::string>& patterns) {
    for (std::string_view text : patterns) {
        Rule rule;
        if (text.size() > 1 && text.back() == '/') {
            rule.directories_only = true;
            text.remove_suffix(1);
        }
        rule.whole_path = text.find('/') != std::string_view::npos;
        if (text.starts_with('/')) text.remove_prefix(1);
        if (text.empty()) continue;
        rule.pattern = text;
        rules_.push_back(std::move(rule));
    }
}

bool PathPatterns::match(std::string_view path, bool is_directory) const {
    const std::string_view base = path.substr(path.rfind('/') + 1);
    for (const Rule& rule : rules_) {
        if (rule.directories_only && !is_directory) continue;
        if (globMatches(rule.pattern, rule.whole_path ? path : base)) return true;
    }
    return false;
}

}  // namespace regrow::backup
