#include "proxy/balance/pool_balancer.h"

#include <algorithm>
#include <set>

namespace regrow {

void PoolBalancer::update(const PoolView& pool, Instant now) {
    if (kind_ != pool.balance) tiers_.clear();
    kind_ = pool.balance;
    listens_ = kind_ == conf::Balance::ewma;
    pool_ = &pool;
    std::set<int> priorities;
    for (const BackendView& b : pool.backends) priorities.insert(b.priority);
    std::erase_if(tiers_, [&](const Tier& t) { return !priorities.contains(t.priority); });
    for (const int priority : priorities)
        if (std::ranges::find(tiers_, priority, &Tier::priority) == tiers_.end())
            tiers_.push_back({priority, makeBalancer(kind_, rotation_)});
    std::ranges::sort(tiers_, {}, &Tier::priority);
    for (const Tier& tier : tiers_) tier.balancer->update(pool, tier.priority, now);
}

const BackendView* PoolBalancer::pick(Instant now, const Tried& tried, const RequestKey& key) {
    if (key.sticky_slot != RequestKey::kNobody)
        if (const BackendView* b = sticky(tried, key)) return b;
    for (const Tier& tier : tiers_) {
        if (const BackendView* b = tier.balancer->pick(now, tried, key)) return b;
        if (tiers_.size() > 1 && !tier.balancer->exhausted(tried)) break;
    }
    return nullptr;
}

// The client's own, whatever its weight and priority: its session is there.
const BackendView* PoolBalancer::sticky(const Tried& tried, const RequestKey& key) const {
    if (!pool_ || key.sticky_index >= pool_->backends.size()) return nullptr;
    const BackendView& b = pool_->backends[key.sticky_index];
    if (b.slot != key.sticky_slot || !b.accepting || tried.contains(b.slot) || !hasRoom(b))
        return nullptr;
    return &b;
}

void PoolBalancer::tell(uint32_t slot, Duration latency, Instant now) {
    for (const Tier& tier : tiers_) tier.balancer->answered(slot, latency, now);
}

}  // namespace regrow
