#include "proxy/balance/key_hash.h"

#include <cmath>

namespace regrow {
namespace {

// Slots looked at before the request goes where there is room: with 19 of 20 backends down one in
// 10^22 gets this far.
constexpr size_t kSteps = 1024;

// Whether a key belongs to those that a backend in slow start has taken over so far.
bool takesOver(const BackendView& b, uint64_t hash, Instant now) {
    if (b.ramp <= Duration::zero() || now >= b.ramp_from + b.ramp) return true;
    const auto fraction = static_cast<double>(hash >> 40U) / static_cast<double>(1U << 24U);
    return fraction < rampFactor(b, now);
}

}  // namespace

void KeyHash::update(const PoolView& pool, int priority, Instant now) {
    fallback_.update(pool, priority, now);
    pool_ = &pool;
    usable_.assign(pool.backends.size(), 0);
    weights_ = 0;
    for (size_t i = 0; i < pool.backends.size(); ++i) {
        if (!usable(pool.backends[i], priority)) continue;
        usable_[i] = 1;
        weights_ += pool.backends[i].weight;
    }
}

bool KeyHash::hasShare(const BackendView& backend) const {
    const auto total = static_cast<double>(pool_->stats->sum(&PoolShard::in_flight) + 1);
    const double most = std::ceil(pool_->hash.bound * total * backend.weight / weights_);
    return static_cast<double>(inFlight(backend) + 1) <= most;
}

const BackendView* KeyHash::pick(Instant now, const Tried& tried, const RequestKey& key) {
    if (key.hash == 0 || weights_ <= 0 || !pool_->keys || pool_->keys->empty())
        return fallback_.pick(now, tried, key);
    size_t slot = KeyTable::slotOf(key.hash);
    // Each key has a path of its own through the table. The slots next to each other are no
    // alternative: a backend's neighbours there are more often some than others, and when it went
    // one of four had 13 % of its keys.
    const size_t stride = (key.hash >> 32U) % (KeyTable::kSlots - 1) + 1;
    for (size_t step = 0; step < kSteps; ++step) {
        const size_t owner = pool_->keys->owner(slot);
        slot = (slot + stride) % KeyTable::kSlots;
        if (owner >= usable_.size() || !usable_[owner]) continue;
        const BackendView& b = pool_->backends[owner];
        if (tried.contains(b.slot) || !hasRoom(b) || !takesOver(b, key.hash, now) || !hasShare(b))
            continue;
        return &b;
    }
    return fallback_.pick(now, tried, key);
}

}  // namespace regrow
