#include "proxy/control/status_builder.h"

#include <algorithm>

#include "base/text.h"
#include "proxy/control/views.h"
#include "proxy/recovery/machine.h"

namespace regrow::control {
namespace {

using recovery::State;

double msBetween(Instant from, Instant to) {
    return std::max(0.0, toMs(to - from));
}

CheckStatus checkStatus(const StatusSources& s, const Place& place) {
    CheckStatus status;
    for (const auto& check : place.health.checks) {
        status.rise = std::max(status.rise, check.passes);
        status.fall = std::max(status.fall, check.failures);
    }
    if (const auto last = s.health.lastCheck(place)) {
        status.last = last->at;
        status.result = last->result.outcome == health::Outcome::pass ? "ok" : last->result.text;
        status.took_ms = toMs(last->result.took);
    }
    return status;
}

// A server whose backend may have had data before is not started until the repository has said
// whether it had.
std::string waitsForRepository(const StatusSources& s, const Place& place) {
    const auto& pool = s.registry.poolOf(place);
    const auto name = s.registry.repositoryOf(pool);
    if (!pool.conf.backup.on || !name || place.listed || s.registry.flags(place).ever_up) return "";
    const auto repository = s.backups.repositories().find(*name);
    if (repository == s.backups.repositories().end() || repository->second.error.empty())
        return "waits until repository " + *name + " has been read";
    return "waits for repository " + *name + ": " + repository->second.error +
           " (put its path or key_file right; it is tried again by itself)";
}

std::string reasonOf(const StatusSources& s, const Place& place, const std::string& state) {
    if (place.recovery && !place.recovery->reason.empty()) return place.recovery->reason;
    if (state == "starting" && place.health_reason.empty()) return waitsForRepository(s, place);
    return place.health_reason;
}

BackendStatus backendStatus(const StatusSources& s, const Place& place) {
    const auto assignment = s.registry.assignment(place);
    const auto* const filling = s.registry.filling(place);
    auto totals = s.counters.backend(place);
    BackendStatus status;
    status.name = place.key.backend;
    status.state = backendState(s.registry, place);
    status.server = assignment.server;
    status.address = filling ? filling->address.text() : "";
    status.lookup = filling ? filling->lookup : "";
    status.lookup_error = s.registry.resolved(status.lookup).error;
    status.epoch = assignment.epoch;
    status.since = place.health_since;
    status.reason = reasonOf(s, place, status.state);
    if (filling && !filling->address.valid()) status.reason = status.lookup_error;
    if (filling && s.supervisor)
        if (const auto process = s.supervisor->process(place.key.pool + "/" + filling->name))
            status.pid = process->pid;
    status.in_flight = place.stats->sum(&BackendShard::in_flight);
    status.requests = totals["requests"];
    status.connect_failures = totals["connect_failures"];
    status.resets = totals["resets"];
    status.timeouts = totals["timeouts"];
    status.bad_answers = totals["bad_answers"];
    status.status_5xx = totals["status_5xx"];
    status.stalls = totals["stalls"];
    status.errors = status.connect_failures + status.resets + status.timeouts + status.bad_answers +
                    status.status_5xx;
    status.bytes_in = totals["bytes_in"];
    status.bytes_out = totals["bytes_out"];
    status.latency = s.latencies.percentiles(place.slot, *place.stats);
    status.check = checkStatus(s, place);
    return status;
}

std::string poolState(const StatusSources& s, const PoolState& pool) {
    const auto serving = std::ranges::count_if(
        pool.places, [&](const auto& place) { return accepting(s.registry, *place); });
    if (serving == 0) return "down";
    return static_cast<size_t>(serving) == pool.places.size() ? "up" : "degraded";
}

SpareStatus spareStatus(const StatusSources& s, const PoolState& pool, const std::string& name,
                        const conf::Server& server) {
    const auto record = s.registry.serverRecord(pool, name);
    return {name, server.address.text(), std::string(recovery::name(record.state)), record.reason};
}

// Spares of the file, and every other server that fills no place now (replaced ones, quarantined or
// released).
std::vector<SpareStatus> spares(const StatusSources& s, const PoolState& pool) {
    std::vector<SpareStatus> all;
    all.reserve(pool.servers.size());
    for (const auto& spare : pool.conf.spares)
        all.push_back(spareStatus(s, pool, spare.name, spare));
    for (const auto& [name, server] : pool.servers) {
        const bool fills = std::ranges::any_of(
            pool.places, [&](const auto& p) { return s.registry.assignment(*p).server == name; });
        if (!pool.isSpare(name) && !fills) all.push_back(spareStatus(s, pool, name, server));
    }
    return all;
}

std::optional<double> rtoEstimate(const std::vector<recovery::PastRecovery>& past) {
    for (auto it = past.rbegin(); it != past.rend(); ++it)
        if (it->result == "done") return it->down_s;
    return std::nullopt;
}

BackupStatus backupStatus(const StatusSources& s, const PoolState& pool,
                          const std::vector<recovery::PastRecovery>& past) {
    BackupStatus status;
    bool all_covered = true;
    for (const auto& place : pool.places) {
        status.snapshots += place->snapshots.size();
        for (const auto& snapshot : place->snapshots)
            if (!status.latest || snapshot.time >= status.latest->time)
                status.latest = snapshotStatus(snapshot);
        if (place->last_captured) {
            const double age =
                std::chrono::duration<double>(Wall::now() - *place->last_captured).count();
            status.rpo_s = std::max(status.rpo_s.value_or(0), std::max(age, 0.0));
        } else {
            all_covered = false;
        }
        if (const auto schedule = s.backups.scheduleOf(*place);
            schedule && !schedule->last_error.empty())
            status.last_error = place->name() + ": " + schedule->last_error;
    }
    if (!all_covered) status.rpo_s.reset();  // something of this pool could not be restored at all
    status.rto_estimate_s = rtoEstimate(past);
    return status;
}

RecoveryStatus recoveryStatus(const Place& place) {
    const auto& state = *place.recovery;
    RecoveryStatus status;
    status.id = state.id;
    status.backend = state.backend;
    status.spare = state.spare;
    status.state = std::string(recovery::name(state.state));
    if (state.state == State::held) {
        status.held = recovery::name(state.held);
        status.state += "(" + status.held + ")";
    }
    status.reason = state.reason;
    status.since = state.died_wall;
    status.restored_bytes = state.done_bytes;
    if (state.total_bytes > 0)
        status.progress =
            static_cast<double>(state.done_bytes) / static_cast<double>(state.total_bytes);
    if (state.state > State::restore && state.state <= State::done) status.progress = 1;
    status.snapshot = state.snapshot ? state.snapshot->id : "";
    return status;
}

PastRecoveryStatus pastStatus(const recovery::PastRecovery& past) {
    PastRecoveryStatus status;
    status.id = past.id;
    status.backend = past.backend;
    status.from = past.from;
    status.to = past.to;
    status.result = past.result;
    status.snapshot = past.snapshot;
    status.started = past.started;
    status.lost_s = past.lost_s;
    status.down_s = past.down_s;
    status.detected_ms = past.detected_ms;
    status.restored_bytes = past.restored_bytes;
    status.restore_ms = past.restore_ms;
    for (const auto& step : past.steps)
        status.steps.push_back({std::string(recovery::name(step.state)), toMs(step.took)});
    return status;
}

PoolStatus poolStatus(const StatusSources& s, const PoolState& pool) {
    auto totals = s.counters.pool(pool);
    PoolStatus status;
    status.state = poolState(s, pool);
    status.held =
        static_cast<uint64_t>(std::max(0, pool.stats->waiting.load(std::memory_order_relaxed)));
    status.held_total = totals["held"];
    status.requests = totals["requests"];
    status.errors = totals["errors"];
    status.retries = totals["retries"];
    status.hedges = totals["hedges"];
    status.hedges_won = totals["hedges_won"];
    for (const auto& place : pool.places) {
        status.backends.push_back(backendStatus(s, *place));
        if (place->recovery) status.active.push_back(recoveryStatus(*place));
    }
    status.spares = spares(s, pool);
    const auto& saved = s.registry.journal().saved().past;
    const auto past = saved.find(pool.conf.name);
    const std::vector<recovery::PastRecovery> none;
    const auto& recoveries = past == saved.end() ? none : past->second;
    for (const auto& recovery : recoveries) status.recoveries.push_back(pastStatus(recovery));
    status.recovery_results = s.counters.recoveries(s.registry, pool.conf.name);
    if (pool.conf.backup.on) status.backup = backupStatus(s, pool, recoveries);
    return status;
}

}  // namespace

SnapshotStatus snapshotStatus(const recovery::SnapshotInfo& snapshot) {
    return {snapshot.id,    snapshot.name,   snapshot.time,       snapshot.type,
            snapshot.bytes, snapshot.proven, snapshot.incomplete, snapshot.suspicious};
}

std::string backendState(const Registry& registry, const Place& place) {
    const auto flags = registry.flags(place);
    if (flags.maintenance) return "maintenance";
    if (place.recovery) {
        const auto state = place.recovery->state;
        if (state >= State::fence && state <= State::start) return "restoring";
        if (state == State::warm) return "warming";
        if (state == State::held && place.fenced) return "restoring";
    }
    if (flags.drained) return "draining";
    if (!registry.filling(place)) return "down";
    if (place.starting || (place.health.starting && place.health.verdict != health::Verdict::up))
        return "starting";
    return std::string(health::name(place.health.verdict));
}

Status buildStatus(const StatusSources& s) {
    Status status;
    status.generation = s.registry.generation();
    status.uptime_s = msBetween(s.started, s.now) / 1000;
    status.workers = static_cast<int>(s.registry.workers());
    status.paused = s.registry.journal().saved().paused;
    status.draining = s.draining;
    for (const auto& listener : s.registry.listeners()) {
        auto totals = s.counters.listener(listener);
        status.listeners.push_back({listener.conf.listen.text(), totals["connections"],
                                    listener.stats->sum(&ListenerShard::open), totals["requests"],
                                    totals["bad_requests"], listener.tls != nullptr,
                                    totals["handshakes"], totals["resumptions"],
                                    totals["handshake_failures"]});
        for (size_t i = 0; i < kRefusals; ++i)
            status.listeners.back().refused[i] = totals[std::string("refused_") + kRefusalNames[i]];
    }
    for (const auto& [name, pool] : s.registry.pools()) status.pools[name] = poolStatus(s, pool);
    for (const auto& [name, repository] : s.backups.repositories())
        status.repositories[name] = {repository.reachable, repository.snapshots,
                                     repository.space.bytes, repository.space.free_bytes,
                                     repository.error};
    return status;
}

}  // namespace regrow::control
