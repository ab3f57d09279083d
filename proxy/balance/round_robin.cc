#include "proxy/balance/round_robin.h"

namespace regrow {

const BackendView* RoundRobin::pick(Instant now, const Tried& tried, const RequestKey&) {
    if (members_.size() == 0) return nullptr;
    members_.refresh(now);
    size_t chosen = members_.turn();
    if (!members_.eligible(chosen, tried)) {
        // Rare: who may not be chosen now is not credited either, or it would be owed a burst
        // later.
        members_.takeBack(chosen);
        chosen = members_.turnAmongEligible(tried);
    }
    return chosen == members_.size() ? nullptr : &members_.backend(chosen);
}

}  // namespace regrow
