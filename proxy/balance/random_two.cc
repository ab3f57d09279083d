#include "proxy/balance/random_two.h"

namespace regrow {
namespace {

constexpr int kDraws = 8;

}  // namespace

void RandomTwo::update(const PoolView& pool, int priority, Instant now) {
    members_.update(pool, priority, now, rotation_);
    draw_.build(members_.weights());
}

double RandomTwo::cost(size_t member, Instant) const {
    return static_cast<double>(inFlight(members_.backend(member))) / members_.weight(member);
}

const BackendView* RandomTwo::pick(Instant now, const Tried& tried, const RequestKey&) {
    const size_t none = members_.size();
    if (none == 0) return nullptr;
    if (members_.refresh(now)) draw_.build(members_.weights());
    size_t one = draw(tried, none);
    if (one == none) one = search(tried);
    if (one == none) return nullptr;
    const size_t two = none > 1 ? draw(tried, one) : none;
    const bool first = two == none || cost(one, now) <= cost(two, now);
    return &members_.backend(first ? one : two);
}

size_t RandomTwo::draw(const Tried& tried, size_t other) {
    for (int i = 0; i < kDraws; ++i) {
        const size_t drawn = draw_.next(random_);
        if (drawn != other && members_.eligible(drawn, tried)) return drawn;
    }
    return members_.size();
}

size_t RandomTwo::search(const Tried& tried) {
    const size_t size = members_.size();
    const size_t begin = random_.below(size);
    for (size_t k = 0; k < size; ++k)
        if (members_.eligible((begin + k) % size, tried)) return (begin + k) % size;
    return size;
}

}  // namespace regrow
