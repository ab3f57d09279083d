#include "backup/repository.h"

namespace regrow::backup {
namespace {

constexpr size_t kLongestName = 200;

bool allowed(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool validSegment(std::string_view segment) {
    if (segment.empty() || segment.front() == '.') return false;
    for (const char c : segment)
        if (!allowed(c)) return false;
    return true;
}

}  // namespace

bool validObjectName(std::string_view name) {
    if (name.size() > kLongestName) return false;
    while (true) {
        const size_t slash = name.find('/');
        if (!validSegment(name.substr(0, slash))) return false;
        if (slash == std::string_view::npos) return true;
        name.remove_prefix(slash + 1);
    }
}

}  // namespace regrow::backup
