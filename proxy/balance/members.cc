#include "proxy/balance/members.h"

#include <algorithm>
#include <unordered_map>

namespace regrow {
namespace {

using namespace std::chrono_literals;

constexpr double kRampFloor = 0.1;
constexpr Duration kRampStep = 50ms;
constexpr double kMaxTotal = 1 << 29;  // credits stay within twice the total: fits in 32 bits
constexpr double kFinest = 1000;       // parts of a weight of one

bool ramping(const BackendView& b, Instant now) {
    return b.ramp > Duration::zero() && now < b.ramp_from + b.ramp;
}

}  // namespace

double rampFactor(const BackendView& b, Instant now) {
    if (!ramping(b, now)) return 1.0;
    const double share =
        now <= b.ramp_from ? 0.0 : toSeconds(now - b.ramp_from) / toSeconds(b.ramp);
    return std::max(kRampFloor, share);
}

void Members::update(const PoolView& pool, int priority, Instant now, uint32_t rotation) {
    std::unordered_map<uint32_t, int32_t> credit_of;
    for (size_t i = 0; i < slots_.size(); ++i) credit_of[slots_[i]] = credits_[i];
    const bool first = pool_ == nullptr;
    const uint32_t next_slot = next_ < slots_.size() ? slots_[next_] : UINT32_MAX;

    pool_ = &pool;
    places_.clear(), slots_.clear(), credits_.clear();
    double sum = 0;
    for (uint32_t i = 0; i < pool.backends.size(); ++i) {
        const BackendView& b = pool.backends[i];
        if (!usable(b, priority)) continue;
        places_.push_back(i);
        slots_.push_back(b.slot);
        credits_.push_back(credit_of[b.slot]);
        sum += b.weight;
    }
    scale_ = std::min(kFinest, kMaxTotal / std::max(sum, 1.0));
    weigh(now);
    for (int32_t& credit : credits_) credit = std::clamp(credit, -total_, total_);
    const auto next = std::ranges::find(slots_, next_slot);
    if (next != slots_.end()) next_ = static_cast<size_t>(next - slots_.begin());
    if (next_ >= size()) next_ = 0;
    for (uint32_t i = 0; first && !places_.empty() && i < rotation % places_.size(); ++i) turn();
}

void Members::weigh(Instant now) {
    weights_.resize(places_.size());
    total_ = 0;
    next_refresh_ = Instant::max();
    for (size_t i = 0; i < places_.size(); ++i) {
        const BackendView& b = backend(i);
        const double scaled = rampFactor(b, now) * b.weight * scale_;
        weights_[i] = static_cast<int32_t>(std::max(scaled, 1.0));
        total_ += weights_[i];
        if (ramping(b, now)) next_refresh_ = now + kRampStep;
    }
    equal_ = std::ranges::adjacent_find(weights_, std::ranges::not_equal_to()) == weights_.end();
}

bool Members::exhausted(const Tried& tried) const {
    return std::ranges::all_of(slots_, [&](uint32_t slot) { return tried.contains(slot); });
}

// The first loop has no branch, so that the compiler credits and compares four at a time.
size_t Members::turn() {
    if (equal_) return goOn(next_);
    int32_t most = INT32_MIN;
    for (size_t i = 0; i < credits_.size(); ++i) {
        credits_[i] += weights_[i];
        most = std::max(most, credits_[i]);
    }
    size_t chosen = 0;
    while (credits_[chosen] != most) ++chosen;
    credits_[chosen] -= total_;
    return chosen;
}

void Members::takeBack(size_t chosen) {
    if (equal_) {
        next_ = chosen;
        return;
    }
    for (size_t i = 0; i < credits_.size(); ++i) credits_[i] -= weights_[i];
    credits_[chosen] += total_;
}

size_t Members::turnAmong(std::span<const uint32_t> among) {
    size_t best = among.front();
    int32_t sum = 0;
    for (const uint32_t i : among) {
        credits_[i] += weights_[i];
        sum += weights_[i];
        if (credits_[i] > credits_[best]) best = i;
    }
    credits_[best] -= sum;
    return best;
}

size_t Members::turnAmongEligible(const Tried& tried) {
    for (size_t n = 0; equal_ && n < size(); ++n) {
        const size_t i = (next_ + n) % size();
        if (eligible(i, tried)) return goOn(i);
    }
    if (equal_) return size();
    size_t best = size();
    int32_t sum = 0;
    for (size_t i = 0; i < size(); ++i) {
        if (!eligible(i, tried)) continue;
        credits_[i] += weights_[i];
        sum += weights_[i];
        if (best == size() || credits_[i] > credits_[best]) best = i;
    }
    if (best != size()) credits_[best] -= sum;
    return best;
}

}  // namespace regrow
