#include "health/check_scheduler.h"

#include <algorithm>

namespace regrow::health {
namespace {

using std::chrono::milliseconds;

constexpr Duration kFloor = milliseconds(20);     // between two starts of one lane
constexpr Duration kFastest = milliseconds(100);  // fast lanes
constexpr Duration kFirstWithin =
    std::chrono::seconds(1);  // a check every hour is first made now, not within the hour
constexpr double kJitter = 0.1;

}  // namespace

struct CheckScheduler::Lane {
    Entry& entry;
    size_t index;
    conf::Check check;
    Timer timer;
    std::unique_ptr<Checker> running;
    Instant started{};   // of the last probe
    Instant planned{};   // of the next, while the timer is armed
    bool again = false;  // asked for while one was under way
};

struct CheckScheduler::Entry {
    CheckTarget target;
    bool fast = false;
    std::vector<std::unique_ptr<Lane>> lanes;
};

Duration fastInterval(Duration every) {
    return std::min(every, std::max(kFastest, every / 10));
}

CheckScheduler::CheckScheduler(EventLoop& loop, Random random, OnResult on_result)
    : loop_(loop), random_(random), on_result_(std::move(on_result)) {}

CheckScheduler::~CheckScheduler() = default;

void CheckScheduler::setTarget(const CheckTarget& target) {
    auto& entry = targets_[target.key];
    if (entry && entry->target.address == target.address && entry->target.checks == target.checks &&
        entry->target.speech == target.speech)
        return;
    const bool fast = entry && entry->fast;
    entry = std::make_unique<Entry>();
    entry->target = target;
    entry->fast = fast;
    for (size_t i = 0; i < target.checks.size(); ++i) {
        auto lane =
            std::make_unique<Lane>(Lane{*entry, i, target.checks[i], {}, nullptr, {}, {}, false});
        lane->timer = Timer(loop_, [this, raw = lane.get()] { begin(*raw); });
        const Duration within =
            std::min(kFirstWithin, fast ? fastInterval(lane->check.every) : lane->check.every);
        schedule(*lane,
                 Mono::now() + std::chrono::duration_cast<Duration>(within * random_.unit()));
        entry->lanes.push_back(std::move(lane));
    }
}

void CheckScheduler::removeTarget(const std::string& key) {
    targets_.erase(key);
}

void CheckScheduler::checkNow(const std::string& key) {
    const auto found = targets_.find(key);
    if (found == targets_.end()) return;
    for (auto& lane : found->second->lanes) {
        lane->again = lane->running != nullptr;
        const Instant at = std::max(Mono::now(), lane->started + kFloor);
        if (!lane->running && at < lane->planned) schedule(*lane, at);
    }
}

void CheckScheduler::setFast(const std::string& key, bool fast) {
    const auto found = targets_.find(key);
    if (found == targets_.end() || found->second->fast == fast) return;
    found->second->fast = fast;
    if (!fast) return;  // the next start may come early; after it the lane is slow again
    for (auto& lane : found->second->lanes) {
        const Instant at = std::max(Mono::now(), next(*lane));
        if (!lane->running && at < lane->planned) schedule(*lane, at);
    }
}

void CheckScheduler::schedule(Lane& lane, Instant at) {
    lane.planned = at;
    lane.timer.after(at - Mono::now());
}

void CheckScheduler::begin(Lane& lane) {
    lane.started = Mono::now();
    lane.again = false;
    lane.running =
        makeChecker(loop_, lane.entry.target.address, lane.check, lane.entry.target.speech);
    lane.running->start([this, &lane](CheckResult result) { ended(lane, std::move(result)); });
}

void CheckScheduler::ended(Lane& lane, CheckResult result) {
    const auto finished = std::move(lane.running);  // until the end of this: it is on the stack
    const Instant soonest = std::max(Mono::now(), lane.started + kFloor);
    schedule(lane, lane.again ? soonest : std::max(soonest, next(lane)));
    result.check = lane.index;
    const std::string key = lane.entry.target.key;
    on_result_(key, result);  // may remove the target, and the lane with it
}

Instant CheckScheduler::next(const Lane& lane) {
    return lane.started +
           jittered(lane.entry.fast ? fastInterval(lane.check.every) : lane.check.every);
}

Duration CheckScheduler::jittered(Duration interval) {
    return std::chrono::duration_cast<Duration>(interval *
                                                (1 - kJitter + 2 * kJitter * random_.unit()));
}

}  // namespace regrow::health
