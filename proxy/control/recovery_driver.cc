#include "proxy/control/recovery_driver.h"

#include <algorithm>

#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "proxy/recovery/machine_policy.h"

namespace regrow::control {
namespace {

using recovery::State;

// What may begin a recovery; any other event without one is a late answer.
bool begins(const recovery::EventBody& body) {
    return std::holds_alternative<recovery::BackendDied>(body) ||
           std::holds_alternative<recovery::Requested>(body);
}

std::string newRecoveryId(WallTime now) {
    std::string stamp = formatTime(now);  // 2026-11-22T20:03:33.123Z
    std::erase_if(stamp, [](char c) { return c == '-' || c == ':' || c == '.'; });
    return "r-" + stamp.substr(0, 15) + "-" + toHex(secureRandomBytes(2));
}

// Also one that was released after quarantine.
bool anyFree(const Registry& registry, const PoolState& pool) {
    return std::ranges::any_of(pool.servers, [&](const auto& entry) {
        return registry.serverRecord(pool, entry.first).state == recovery::ServerState::free;
    });
}

// A recovery that ends leaves no spare claimed by nobody: what it did not write to is free again,
// the rest is dirty.
std::vector<std::pair<std::string, recovery::ServerRecord>> stillClaimed(
    const Registry& registry, const PoolState& pool, const recovery::RecoveryState& state) {
    std::vector<std::pair<std::string, recovery::ServerRecord>> changed;
    for (const auto& [name, server] : pool.servers) {
        const auto record = registry.serverRecord(pool, name);
        if (record.state != recovery::ServerState::claimed || record.claimed_by != state.id)
            continue;
        const auto what =
            state.spare_written ? recovery::ServerChange::soil : recovery::ServerChange::give_back;
        if (const auto after =
                recovery::change(record, what, state.id, "left by recovery " + state.id))
            changed.emplace_back(name, *after);
    }
    return changed;
}

// A death that begins a recovery may begin the hold-down as well; it must be seen in this very
// step, which may pass the gate.
std::optional<Instant> heldDownUntil(recovery::FlapHistory flap, bool begins, Instant now) {
    if (begins) flap.died({}, now);
    return flap.heldUntil(now);
}

// Whose place it is about, and the epoch of its data. After a recovery that was cancelled or failed
// nobody fills it, but the server that did is still there, quarantined, and its disk may be
// rescued; once released it belongs to whoever claims it.
std::pair<std::string, uint64_t> filledBefore(const Registry& registry, const Place& place) {
    auto assignment = registry.assignment(place);
    if (!assignment.server.empty() || assignment.last_server.empty())
        return {std::move(assignment.server), assignment.epoch};
    const auto record = registry.serverRecord(registry.poolOf(place), assignment.last_server);
    if (record.state != recovery::ServerState::quarantined) return {"", assignment.epoch};
    return {std::move(assignment.last_server), assignment.last_epoch};
}

uint64_t epochFloor(const Registry& registry, const Place& place) {
    uint64_t floor = registry.assignment(place).epoch;
    for (const auto& snapshot : place.snapshots) floor = std::max(floor, snapshot.epoch);
    return floor;
}

}  // namespace

RecoveryDriver::RecoveryDriver(EventLoop& loop, Registry& registry, EventLog& events)
    : loop_(loop), registry_(registry), events_(events) {}

recovery::Context RecoveryDriver::contextOf(const Place& place) {
    auto& pool = registry_.poolOf(place);
    const auto now = loop_.now();
    const auto& saved = registry_.journal().saved();
    const auto flap = saved.flaps.find(place.key);
    const auto budget = saved.budgets.find(place.key.pool);
    const auto* const filling = registry_.filling(place);
    recovery::Context context;
    context.policy =
        recovery::policyFor(pool.conf, filling ? filling->service : place.conf.server.service);
    context.paused = saved.paused;
    context.maintenance = registry_.flags(place).maintenance;
    context.panic = pool.panic.stops(place.key.backend, {}, now);
    context.budget_left =
        budget == saved.budgets.end() ||
        budget->second.left(pool.conf.recovery.budget_count, pool.conf.recovery.budget_per, now);
    const int limit = filling ? filling->service.restart : 0;
    context.restart_allowed =
        flap == saved.flaps.end() ? limit > 0 : flap->second.restartAllowed({}, limit, now);
    context.unstable = flap != saved.flaps.end() && flap->second.unstable({}, now);
    if (flap != saved.flaps.end())
        context.flapping_until = heldDownUntil(flap->second, !place.recovery, now);
    context.no_traffic = place.health.long_silence;
    context.other_spare = anyFree(registry_, pool);
    const bool claimed = place.recovery && !place.recovery->spare.empty();
    context.spare = claimed || context.other_spare ? recovery::Known::yes : recovery::Known::no;
    if (context.policy.has_data)
        context.proven_snapshot =
            std::ranges::any_of(place.snapshots, [](const auto& s) { return s.proven; })
                ? recovery::Known::yes
                : recovery::Known::unknown;
    context.epoch_floor = epochFloor(registry_, place);
    context.wall = Wall::now();
    return context;
}

void RecoveryDriver::handle(const recovery::BackendKey& key, recovery::EventBody body,
                            uint32_t step) {
    waiting_.push_back({key, std::move(body), step});
    if (!handling_) drain();
}

void RecoveryDriver::drain() {
    handling_ = true;
    while (!waiting_.empty()) {
        const Waiting event = std::move(waiting_.front());
        waiting_.pop_front();
        handleOne(event);
    }
    handling_ = false;
}

std::optional<recovery::RecoveryState> RecoveryDriver::stateFor(Place& place,
                                                                const recovery::EventBody& body) {
    if (place.recovery) return place.recovery;
    if (!begins(body)) return std::nullopt;
    auto [server, epoch] = filledBefore(registry_, place);
    return recovery::begin(newRecoveryId(Wall::now()), place.key.pool, place.key.backend,
                           std::move(server), epoch, loop_.now());
}

void RecoveryDriver::handleOne(const Waiting& event) {
    Place* const place = registry_.place(event.key);
    if (!place) return;
    const auto before = stateFor(*place, event.body);
    if (!before) return;
    const recovery::Event checked_event{checked(*place, event.body), event.step};
    const auto result = recovery::step(*before, checked_event, contextOf(*place), loop_.now());
    if (result.must_journal && !makeDurable(*place, *before, result)) {
        timers_[event.key] =
            Timer(loop_, [this, key = event.key] { handle(key, recovery::Tick{}); });
        timers_[event.key].after(std::chrono::seconds(1));
        return;
    }
    const bool begun =
        !place->recovery && result.state.state == State::steady && result.commands.empty();
    if (begun) return;  // nothing came of it
    place->recovery = result.state;
    afterStep(*place, *before, result);
}

// Two recoveries may find the same spare free; the journal knows which one was first.
recovery::EventBody RecoveryDriver::checked(const Place& place,
                                            const recovery::EventBody& body) const {
    const auto* const claimed = std::get_if<recovery::SpareClaimed>(&body);
    if (!claimed || !place.recovery) return body;
    const auto may =
        recovery::change(registry_.serverRecord(registry_.poolOf(place), claimed->server),
                         recovery::ServerChange::claim, place.recovery->id, "");
    if (may) return body;
    return recovery::NoSpare{"spare " + claimed->server + ": " + may.error().message};
}

bool RecoveryDriver::makeDurable(Place& place, const recovery::RecoveryState& before,
                                 const recovery::StepResult& result) {
    const auto written =
        registry_.journal().transition(transitionOf(registry_, place, before, result, loop_.now()));
    if (written) return true;
    log::error("recovery " + place.name(),
               "{}; the recovery stands still until the journal can be written",
               written.error().message);
    return false;
}

void RecoveryDriver::afterStep(Place& place, const recovery::RecoveryState& before,
                               const recovery::StepResult& result) {
    const auto key = place.key;
    tell(place, result.state, result.note);
    if (before.state != State::protect && result.state.state == State::protect)
        registry_.poolOf(place).panic.recoveryEnded(key.backend, true);
    if (executeAll(place, result.commands)) return finish(place);
    armTimer(place);
}

// True when the recovery is over.
bool RecoveryDriver::executeAll(Place& place, const std::vector<recovery::Command>& commands) {
    bool over = false;
    for (const auto& command : commands) {
        execute_(place, command);
        over = over || command.action == recovery::Action::end_recovery;
    }
    return over;
}

void RecoveryDriver::finish(Place& place) {
    const auto state = *place.recovery;
    const auto result = recovery::resultName(state);
    timers_.erase(place.key);
    recovery::FlapHistory flap;
    const auto saved = registry_.journal().saved().flaps.find(place.key);
    if (saved != registry_.journal().saved().flaps.end()) flap = saved->second;
    if (result == "done") flap.recoveredAt(loop_.now());
    if (result == "recovered") flap.returnedHealthy(loop_.now());
    const auto ended = registry_.journal().endRecovery(
        place.key, recovery::pastRecovery(state, loop_.now()),
        stillClaimed(registry_, registry_.poolOf(place), state), flap);
    if (!ended)
        log::error("recovery " + place.name(), "its end could not be journalled: {}",
                   ended.error().message);
    if (result == "failed" || result == "cancelled") {
        auto flags = registry_.flags(place);
        flags.gave_up = true;
        if (const auto written = registry_.journal().flag(place.key, flags); !written)
            log::error("recovery " + place.name(), "{}", written.error().message);
    }
    if (state.state != State::done)
        registry_.poolOf(place).panic.recoveryEnded(place.key.backend, false);
    place.recovery.reset();
    gateChanged();
    if (state.state == State::done) done_(place);
}

void RecoveryDriver::tell(const Place& place, const recovery::RecoveryState& state,
                          const std::string& note) {
    if (note.empty()) return;
    std::vector<std::pair<std::string, std::string>> details{
        {"recovery", state.id}, {"state", std::string(recovery::name(state.state))}};
    if (!state.spare.empty()) details.emplace_back("spare", state.spare);
    if (state.snapshot) details.emplace_back("snapshot", state.snapshot->id);
    if (state.state == State::held)
        details.emplace_back("held", std::string(recovery::name(state.held)));
    for (const auto& evidence : state.evidence) details.emplace_back("evidence", evidence);
    events_.add(place.key.pool, place.key.backend, "recovery", note, std::move(details));
}

void RecoveryDriver::armTimer(Place& place) {
    const auto wake = recovery::wakeAt(*place.recovery);
    if (!wake) return;
    auto& timer = timers_[place.key];
    timer = Timer(loop_, [this, key = place.key] { handle(key, recovery::Tick{}); });
    timer.after(std::max<Duration>(*wake - loop_.now(), std::chrono::milliseconds(1)));
}

void RecoveryDriver::gateChanged() {
    for (auto& [name, pool] : registry_.pools())
        for (const auto& place : pool.places)
            if (place->recovery) handle(place->key, recovery::GateChanged{});
}

void RecoveryDriver::load() {
    for (const auto& [key, state] : registry_.journal().saved().recoveries) {
        if (Place* const place = registry_.place(key)) {
            place->recovery = state;
            place->fenced = recovery::fenced(state);
        } else {
            log::warn("recovery " + key.pool + "/" + key.backend,
                      "recovery {} belongs to a backend the configuration no longer has; it rests",
                      state.id);
        }
    }
}

void RecoveryDriver::resumeAll() {
    for (auto& [name, pool] : registry_.pools())
        for (const auto& place : pool.places) {
            if (!place->recovery) continue;
            const auto before = *place->recovery;
            events_.add(place->key.pool, place->key.backend, "recovery",
                        "carrying on with recovery " + before.id + " in state " +
                            std::string(recovery::name(before.state)));
            const auto result = recovery::resume(before, contextOf(*place), loop_.now());
            if (result.must_journal && !makeDurable(*place, before, result)) continue;
            place->recovery = result.state;
            afterStep(*place, before, result);
        }
}

void RecoveryDriver::died(Place& place, recovery::BackendDied death) {
    auto& pool = registry_.poolOf(place);
    pool.panic.died(place.key.backend, pool.places.size(), {}, loop_.now());
    // One that was given up by a person or after every attempt failed is not begun again by itself.
    if (pool.recovers() && (place.recovery || !registry_.flags(place).gave_up))
        handle(place.key, std::move(death));
}

void RecoveryDriver::returned(Place& place) {
    registry_.poolOf(place).panic.returned(place.key.backend);
    auto flags = registry_.flags(place);
    if (flags.gave_up) {
        flags.gave_up = false;
        if (const auto written = registry_.journal().flag(place.key, flags); !written)
            log::error("recovery " + place.name(), "{}", written.error().message);
    }
    if (place.recovery) handle(place.key, recovery::Recovered{});
    gateChanged();
}

}  // namespace regrow::control
