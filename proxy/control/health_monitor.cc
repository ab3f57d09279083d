#include "proxy/control/health_monitor.h"

#include <algorithm>
#include <utility>

namespace regrow::control {
namespace {

using health::EvidenceKind;
using health::Verdict;

constexpr uint32_t kMostAtOnce =
    16;  // of the same observation: beyond it the verdict is long clear

recovery::BackendKey keyOf(const std::string& key) {
    const auto slash = key.find('/');
    return {key.substr(0, slash), key.substr(slash + 1)};
}

std::optional<health::HealthEvent> eventOf(const serve::Observation& seen) {
    using Kind = serve::Observation::Kind;
    switch (seen.kind) {
        case Kind::success: return health::TrafficOk{};
        case Kind::connect_failure:
        case Kind::reset:
        case Kind::no_first_byte: return health::TrafficFailed{true, seen.detail};
        case Kind::bad_answer:
        case Kind::status_5xx: return health::TrafficFailed{false, seen.detail};
    }
    return std::nullopt;
}

// Whether requests have somewhere else to go.
bool othersAccept(const Registry& registry, const Place& place) {
    return std::ranges::any_of(registry.poolOf(place).places, [&](const auto& other) {
        return other.get() != &place && accepting(registry, *other);
    });
}

// Slow and wrong answers move traffic; only silence speaks of death.
std::optional<recovery::EvidenceKind> deathKind(EvidenceKind kind) {
    switch (kind) {
        case EvidenceKind::process_exit: return recovery::EvidenceKind::process_exit;
        case EvidenceKind::check_no_answer: return recovery::EvidenceKind::check;
        case EvidenceKind::traffic_no_answer: return recovery::EvidenceKind::traffic;
        case EvidenceKind::check_bad_answer:
        case EvidenceKind::traffic_bad_answer: return std::nullopt;
    }
    return std::nullopt;
}

}  // namespace

HealthMonitor::HealthMonitor(EventLoop& loop, Registry& registry, EventLog& events,
                             ViewPublisher& views)
    : loop_(loop),
      registry_(registry),
      events_(events),
      views_(views),
      scheduler_(loop, Random::fromSystem(),
                 [this](const std::string& key, const health::CheckResult& result) {
                     checkDone(key, result);
                 }) {}

void HealthMonitor::configure() {
    std::erase_if(watches_, [&](const auto& entry) {
        if (registry_.place(entry.first)) return false;
        scheduler_.removeTarget(entry.first.pool + "/" + entry.first.backend);
        return true;
    });
    for (auto& [name, pool] : registry_.pools())
        for (const auto& place : pool.places) {
            const auto* const server = watched(*place);
            const auto known = watches_.find(place->key);
            if (!server || (known != watches_.end() && known->second.told))
                continue;  // nobody is there, or a recovery watches
            if (known == watches_.end() || known->second.server != server->name) {
                begin(*place, *server);
                continue;
            }
            known->second.policy = health::policyOf(pool.conf, *server);
            place->health = health::adapt(place->health, known->second.policy);
            check(*place, *server);
        }
}

// One whose name has not been found yet is not asked, and so not blamed.
void HealthMonitor::check(const Place& place, const conf::Server& server) {
    const auto& pool = registry_.poolOf(place);
    if (!server.address.valid()) return scheduler_.removeTarget(place.name());
    scheduler_.setTarget({place.name(),
                          server.address,
                          pool.conf.checks,
                          {pool.tls, pool.conf.proxy_protocol, pool.conf.http2}});
}

// The server that fills the place; a fenced one may come back (return_watch.h).
const conf::Server* HealthMonitor::watched(const Place& place) const {
    if (const auto* const filling = registry_.filling(place)) return filling;
    return place.recovery ? registry_.poolOf(place).server(place.recovery->old_server) : nullptr;
}

void HealthMonitor::begin(Place& place, const conf::Server& server, OnReplacement told) {
    auto& watch = watches_[place.key];
    const auto& pool = registry_.poolOf(place);
    watch.policy = health::policyOf(pool.conf, server);
    watch.server = server.name;
    if (told) watch.policy.supervised = true;  // just started, whoever did it: down until proven up
    watch.told = std::move(told);
    watch.confirmed = watch.proven = false;
    watch.probe.reset();
    heardMore(place, watch);
    place.health = health::initialState(watch.policy, loop_.now());
    place.health_since = Wall::now();
    check(place, server);
    scheduler_.setFast(place.name(), health::wantsFastProbe(place.health, loop_.now()));
    armTick(place, watch);
    views_.changed();
}

void HealthMonitor::serverStarting(Place& place) {
    feed(place, health::ProcessStarted{});
}

// An exit is news even when the verdict was down already: a restart that did not last, a
// replacement that never came up.
void HealthMonitor::serverExited(Place& place, const std::string& text) {
    if (feed(place, health::ProcessExited{text})) return;
    const auto it = watches_.find(place.key);
    if (it == watches_.end()) return;
    if (it->second.told) return it->second.told(false, text);
    place.health_reason = "process exited: " + text;
    giveEvidence(
        place, {Verdict::down, Verdict::down, "process exited", text, EvidenceKind::process_exit});
}

void HealthMonitor::observe(const std::vector<serve::Observation>& observations) {
    for (const auto& seen : observations) {
        Place* const place = registry_.placeBySlot(seen.backend_slot);
        if (!place || place->fenced || registry_.assignment(*place).epoch != seen.epoch)
            continue;  // of a server that was replaced
        auto event = eventOf(seen);
        if (const auto* failed = event ? std::get_if<health::TrafficFailed>(&*event) : nullptr;
            failed && !failed->no_answer && !othersAccept(registry_, *place))
            event = health::TrafficAnswered{};  // a bad answer is better than none
        // What came before the failure says nothing about what follows it.
        if (const auto it = watches_.find(place->key); it != watches_.end())
            heardMore(*place, it->second);
        for (uint32_t i = 0; event && i < std::min(seen.count, kMostAtOnce); ++i)
            feed(*place, *event);
    }
}

void HealthMonitor::watchReplacement(Place& place, const conf::Server& server, OnReplacement told) {
    begin(place, server, std::move(told));
    feed(place, health::ProcessStarted{});
}

void HealthMonitor::stopWatching(Place& place) {
    const auto it = watches_.find(place.key);
    if (it == watches_.end()) return;
    it->second.told = nullptr;
    const auto* const filling = registry_.filling(place);
    if (!filling) {
        scheduler_.removeTarget(place.name());
        watches_.erase(it);
    } else if (filling->name != it->second.server) {
        begin(place, *filling);
    }
}

void HealthMonitor::serverFillsPlace(Place& place) {
    const auto* const filling = registry_.filling(place);
    const auto it = watches_.find(place.key);
    if (filling && (it == watches_.end() || it->second.server != filling->name))
        begin(place, *filling);
}

void HealthMonitor::speakUp(Place& place) {
    const auto it = watches_.find(place.key);
    if (it == watches_.end() || it->second.told || !registry_.filling(place) ||
        place.health.verdict == Verdict::up)
        return;
    it->second.confirmed = false;
    if (!place.health.exited) return lookForDeath(place, it->second);
    giveEvidence(place, {Verdict::down, Verdict::down, "process exited", place.health_reason,
                         EvidenceKind::process_exit});
}

void HealthMonitor::checkDone(const std::string& key, const health::CheckResult& result) {
    Place* const place = registry_.place(keyOf(key));
    const auto it = place ? watches_.find(place->key) : watches_.end();
    if (it == watches_.end()) return;
    it->second.last = LastCheck{result, Wall::now()};
    // Workers do not report each success; that one came is in the counters.
    if (heardMore(*place, it->second)) feed(*place, health::TrafficAnswered{});
    feed(*place, health::CheckDone{result.check, result.outcome, result.text});
}

bool HealthMonitor::heardMore(const Place& place, Watch& watch) {
    const uint64_t now = place.stats->sum(&BackendShard::bytes_in);
    return std::exchange(watch.heard, now) != now;
}

void HealthMonitor::lookLonger(Place& place, Watch& watch) {
    if (watch.told || watch.probe || !health::wantsLongProbe(place.health)) return;
    const auto& pool = registry_.poolOf(place);
    const auto* const server = pool.server(watch.server);
    if (!server) return;
    watch.probe = std::make_unique<health::LifeProbe>(
        loop_, server->address, pool.conf.checks,
        health::Speech{pool.tls, pool.conf.proxy_protocol, pool.conf.http2});
    watch.probe->start([this, key = place.key](health::Outcome outcome, std::string text) {
        lookedLonger(key, {outcome, {}, std::move(text)});
    });
}

void HealthMonitor::lookedLonger(const recovery::BackendKey& key, const health::LongProbe& result) {
    Place* const place = registry_.place(key);
    const auto it = watches_.find(key);
    if (!place || it == watches_.end()) return;
    const auto probe = std::move(it->second.probe);  // it is on the stack
    feed(*place, health::LongProbe{result.outcome, probe->started(), result.text});
}

bool HealthMonitor::feed(Place& place, const health::HealthEvent& event) {
    const auto it = watches_.find(place.key);
    if (it == watches_.end()) return false;
    auto result = health::step(place.health, it->second.policy, event, loop_.now());
    place.health = std::move(result.state);
    scheduler_.setFast(place.name(), health::wantsFastProbe(place.health, loop_.now()));
    if (result.check_now) scheduler_.checkNow(place.name());
    armTick(place, it->second);
    if (result.transition) onTransition(place, it->second, *result.transition);
    if (const auto again = watches_.find(place.key); again != watches_.end())
        lookForFirstProof(place, again->second);
    // The hooks may have ended the watch.
    if (const auto again = watches_.find(place.key); again != watches_.end())
        lookForDeath(place, again->second);
    if (const auto again = watches_.find(place.key); again != watches_.end())
        lookLonger(place, again->second);
    return result.transition.has_value();
}

void HealthMonitor::onTransition(Place& place, Watch& watch, const health::Transition& transition) {
    place.health_since = Wall::now();
    place.health_reason =
        transition.reason + (transition.evidence.empty() ? "" : ": " + transition.evidence);
    events_.add(place.key.pool, place.key.backend, "health",
                (watch.told ? "replacement " + watch.server + " is " : "") +
                    std::string(health::name(transition.to)) + " (was " +
                    std::string(health::name(transition.from)) + "): " + place.health_reason,
                {{"server", watch.server},
                 {"from", std::string(health::name(transition.from))},
                 {"to", std::string(health::name(transition.to))},
                 {"evidence", transition.evidence}});
    views_.changed();
    if (transition.to == Verdict::up) {
        // One that comes up for the first time does so with the whole pool.
        if (transition.from == Verdict::down && watch.proven && !watch.told)
            registry_.poolOf(place).beginRamp(place, loop_.now());
        watch.confirmed = false;
        watch.proven = true;
        if (watch.told) return watch.told(true, place.health_reason);
        return hooks_.up(place);
    }
    if (watch.told) return watch.told(false, place.health_reason);
    if (transition.from == Verdict::up) hooks_.down(place);
    giveEvidence(place, transition);
}

void HealthMonitor::giveEvidence(Place& place, const health::Transition& transition) {
    const auto kind = deathKind(transition.kind);
    if (!kind) return;
    const auto now = loop_.now();
    recovery::BackendDied death;
    death.kind = *kind;
    death.text = place.health_reason;
    death.proof = transition.kind == EvidenceKind::process_exit;
    death.server = watches_[place.key].server;
    death.died_at = death.proof || place.health.no_answer_since == Instant{}
                        ? now
                        : place.health.no_answer_since;
    death.died_wall = Wall::now() - std::chrono::duration_cast<Wall::duration>(now - death.died_at);
    hooks_.died(place, std::move(death));
}

// A server that others run begins as up, which no transition tells.
void HealthMonitor::lookForFirstProof(Place& place, Watch& watch) {
    if (watch.proven || watch.told || place.health.verdict != Verdict::up) return;
    for (size_t i = 0; i < watch.policy.checks.size(); ++i)
        if (place.health.checks[i].passes < watch.policy.checks[i].rise) return;
    watch.proven = true;
    hooks_.up(place);
}

// What health itself calls enough: several unanswered checks, and traffic that agrees or is silent
// for twice as long.
void HealthMonitor::lookForDeath(Place& place, Watch& watch) {
    if (watch.told || watch.confirmed || place.health.verdict == Verdict::up) return;
    const auto death = health::confirmedDead(place.health, watch.policy, loop_.now());
    if (!death) return;
    watch.confirmed = true;
    if (death->proof) return;
    // When it went down it still said something, or an earlier suspicion came to nothing.
    if (!place.recovery && registry_.filling(place)) {
        place.health_reason = death->text;
        giveEvidence(place, {Verdict::down, Verdict::down, "silent", death->text,
                             EvidenceKind::check_no_answer});
    }
    hooks_.confirmed(place, death->text);
}

void HealthMonitor::armTick(Place& place, Watch& watch) {
    const auto wake = health::wakeAt(place.health, watch.policy);
    if (!wake) return watch.tick.cancel();
    watch.tick = Timer(loop_, [this, key = place.key] {
        if (Place* const found = registry_.place(key)) feed(*found, health::Tick{});
    });
    watch.tick.after(std::max<Duration>(*wake - loop_.now(), std::chrono::milliseconds(1)));
}

bool HealthMonitor::provenUp(const Place& place) const {
    const auto it = watches_.find(place.key);
    return it != watches_.end() && it->second.proven && place.health.verdict == Verdict::up;
}

std::optional<HealthMonitor::LastCheck> HealthMonitor::lastCheck(const Place& place) const {
    const auto it = watches_.find(place.key);
    return it == watches_.end() ? std::nullopt : it->second.last;
}

}  // namespace regrow::control
