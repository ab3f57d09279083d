#include "proxy/net/client_table.h"

namespace regrow::net {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// MurmurHash3's finisher. Never 0, which means free.
uint64_t keyOf(uint64_t client, uint64_t seed) {
    uint64_t h = client ^ seed;
    h ^= h >> 33U;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33U;
    h *= 0xc4ceb9fe1a85ec53ULL;
    h ^= h >> 33U;
    return h == 0 ? 1 : h;
}

constexpr uint32_t shiftOf(ClientTable::What what) {
    return what == ClientTable::What::connections ? 0 : 32;
}

}  // namespace

ClientTable::ClientTable(uint64_t seed, size_t buckets)
    : seed_(seed), mask_(buckets - 1), entries_(new Entry[buckets * kWays]) {}

uint32_t ClientTable::find(uint64_t key) const {
    const size_t begin = (key & mask_) * kWays;
    for (size_t i = begin; i < begin + kWays; ++i)
        if (entries_[i].key.load(std::memory_order_acquire) == key) return static_cast<uint32_t>(i);
    return kNone;
}

// A free one, else the one that is least ahead of its rate, of those with nothing open.
uint32_t ClientTable::victim(uint64_t key) const {
    const size_t begin = (key & mask_) * kWays;
    uint32_t least = kNone;
    int64_t least_due = INT64_MAX;
    for (size_t i = begin; i < begin + kWays; ++i) {
        const Entry& e = entries_[i];
        if (e.counts.load(kRelaxed) != 0) continue;
        if (e.key.load(kRelaxed) == 0) return static_cast<uint32_t>(i);
        const int64_t due = e.due.load(kRelaxed);
        if (due < least_due) least_due = due, least = static_cast<uint32_t>(i);
    }
    return least;
}

uint32_t ClientTable::claim(uint64_t key, int64_t now) {
    if (const uint32_t known = find(key); known != kNone) return known;
    const uint32_t at = victim(key);
    if (at == kNone) return kNone;
    Entry& e = entries_[at];
    uint64_t nothing = 0;
    if (!e.counts.compare_exchange_strong(nothing, kTaken)) return kNone;
    e.due.store(now, kRelaxed);
    e.key.store(key, std::memory_order_release);
    e.counts.store(0);
    return at;
}

// False: it changes hands just now.
bool ClientTable::count(Entry& entry, uint64_t one, uint32_t shift, uint32_t most, bool& full) {
    uint64_t counts = entry.counts.load();
    do {
        if (counts == kTaken) return false;
        full = static_cast<uint32_t>(counts >> shift) >= most;
        if (full) return true;
    } while (!entry.counts.compare_exchange_weak(counts, counts + one));
    return true;
}

ClientTable::Entered ClientTable::enter(What what, uint64_t client, uint32_t most, int64_t now) {
    const uint64_t key = keyOf(client, seed_);
    const uint32_t shift = shiftOf(what);
    for (int attempt = 0; attempt < 3; ++attempt) {
        const uint32_t at = claim(key, now);
        if (at == kNone) continue;
        bool full = false;
        if (!count(entries_[at], uint64_t{1} << shift, shift, most, full)) continue;
        if (entries_[at].key.load() == key) return full ? Entered{false, kNone} : Entered{true, at};
        if (!full) leave(what, at);  // somebody else's by now
    }
    return {};
}

void ClientTable::leave(What what, uint32_t entry) {
    if (entry != kNone) entries_[entry].counts.fetch_sub(uint64_t{1} << shiftOf(what));
}

int64_t ClientTable::ask(uint64_t client, const Gcra& rate, int64_t now) {
    const uint32_t at = claim(keyOf(client, seed_), now);
    if (at == kNone) return 0;
    int64_t due = entries_[at].due.load(kRelaxed);
    for (;;) {
        const Gcra::Answer answer = rate.ask(due, now);
        if (answer.wait > 0) return answer.wait;
        if (entries_[at].due.compare_exchange_weak(due, answer.due, kRelaxed)) return 0;
    }
}

}  // namespace regrow::net
