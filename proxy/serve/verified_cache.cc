#include "proxy/serve/verified_cache.h"

namespace regrow::serve {

std::optional<bool> VerifiedCache::find(const Hash128& key, Instant now) const {
    if (entries_.empty()) return std::nullopt;
    for (size_t i = setOf(key); i < setOf(key) + kWays; ++i)
        if (entries_[i].key == key && entries_[i].until > now) return entries_[i].right;
    return std::nullopt;
}

void VerifiedCache::add(const Hash128& key, bool right, Instant now) {
    if (entries_.empty()) entries_.resize(kSets * kWays);
    Entry* place = nullptr;
    for (size_t i = setOf(key); i < setOf(key) + kWays; ++i) {
        Entry& entry = entries_[i];
        const bool dead = entry.until <= now;
        if (dead || entry.key == key) {
            place = &entry;
            break;
        }
        if (entry.right && !right) continue;
        // The wrong ones first, then who would be forgotten first.
        if (!place || (place->right && !entry.right) ||
            (place->right == entry.right && entry.until < place->until))
            place = &entry;
    }
    if (place) *place = {key, now + (right ? kRight : kWrong), right};
}

}  // namespace regrow::serve
