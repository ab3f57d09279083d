#include "proxy/balance/least_requests.h"

#include <algorithm>

namespace regrow {

void LeastRequests::update(const PoolView& pool, int priority, Instant now) {
    members_.update(pool, priority, now, rotation_);
    cursor_ = members_.size() == 0 ? 0 : (cursor_ + rotation_ * kWindow) % members_.size();
}

void LeastRequests::consider(size_t i, Ties& ties) const {
    const uint64_t load = inFlight(members_.backend(i));
    const int64_t weight = members_.weight(i);
    // load / weight < ties.load / ties.weight, without dividing
    const auto mine = static_cast<double>(load) * static_cast<double>(ties.weight);
    const auto theirs = static_cast<double>(ties.load) * static_cast<double>(weight);
    if (ties.count != 0 && mine > theirs) return;
    if (ties.count == 0 || mine < theirs) ties.count = 0, ties.load = load, ties.weight = weight;
    ties.members[ties.count++] = static_cast<uint32_t>(i);
}

size_t LeastRequests::lookAt(size_t begin, size_t count, const Tried& tried, Ties& ties) const {
    for (size_t k = 0; k < count; ++k) {
        const size_t i = (begin + k) % members_.size();
        if (members_.eligible(i, tried)) consider(i, ties);
    }
    return (begin + count) % members_.size();
}

const BackendView* LeastRequests::pick(Instant now, const Tried& tried, const RequestKey&) {
    const size_t size = members_.size();
    if (size == 0) return nullptr;
    members_.refresh(now);
    Ties ties;
    for (size_t seen = 0; seen < size && ties.count == 0; seen += kWindow)
        cursor_ = lookAt(cursor_, std::min(kWindow, size - seen), tried, ties);
    if (ties.count == 0) return nullptr;
    return &members_.backend(members_.turnAmong({ties.members.data(), ties.count}));
}

}  // namespace regrow
