#include "proxy/recovery/budget.h"

#include <algorithm>

namespace regrow::recovery {
namespace {

constexpr size_t kRemembered = 64;  // more than any policy counts

void add(std::deque<Instant>& times, Instant now) {
    times.push_back(now);
    if (times.size() > kRemembered) times.pop_front();
}

auto within(const std::deque<Instant>& times, Duration window, Instant now) {
    return std::ranges::count_if(times, [&](Instant t) { return now - t < window; });
}

}  // namespace

bool Budget::left(int count, Duration per, Instant now) const {
    return within(spent, per, now) < count;
}

void Budget::spend(Instant now) {
    add(spent, now);
}

std::optional<Instant> Budget::nextFree(int count, Duration per, Instant now) const {
    if (count <= 0 || left(count, per, now)) return std::nullopt;
    // The one whose end makes room: the count-th from the newest.
    return spent[spent.size() - static_cast<size_t>(count)] + per;
}

void Budget::forget(Duration per, Instant now) {
    std::erase_if(spent, [&](Instant t) { return now - t >= per; });
}

void FlapHistory::restartedInPlace(Instant now) {
    add(restarts, now);
}
void FlapHistory::returnedHealthy(Instant now) {
    add(returns, now);
}
void FlapHistory::recoveredAt(Instant now) {
    recovered = now;
}

void FlapHistory::died(const FlapPolicy& policy, Instant now) {
    const bool peace = !hold_until || now - *hold_until >= policy.hold_longest;
    if (peace && (!recovered || now - *recovered >= policy.window)) holds = 0;
    if (!recovered || now - *recovered >= policy.window) return;
    recovered.reset();  // one hold-down per recovery that did not last
    Duration hold = policy.hold_first;
    for (int i = 0; i < holds && hold < policy.hold_longest; i++) hold *= 2;
    hold_until = now + std::min(hold, policy.hold_longest);
    holds++;
}

bool FlapHistory::restartAllowed(const FlapPolicy& policy, int limit, Instant now) const {
    return within(restarts, policy.window, now) < limit;
}

bool FlapHistory::unstable(const FlapPolicy& policy, Instant now) const {
    return within(returns, policy.window, now) >= policy.returns;
}

std::optional<Instant> FlapHistory::heldUntil(Instant now) const {
    return hold_until && now < *hold_until ? hold_until : std::nullopt;
}

}  // namespace regrow::recovery
