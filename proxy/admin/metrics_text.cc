#include "proxy/admin/metrics_text.h"

#include "proxy/admin/metrics_writer.h"

namespace regrow::admin {
namespace {

using control::BackendStatus;
using control::Status;

double count(uint64_t n) {
    return static_cast<double>(n);
}
double unixSeconds(WallTime t) {
    return std::chrono::duration<double>(t.time_since_epoch()).count();
}

void writeProcess(MetricsWriter& w, const Status& s) {
    w.gauge("regrow_build_info", "Version of the running program.");
    w.sample({{"version", REGROW_VERSION}}, 1);
    w.gauge("regrow_uptime_seconds", "Time since the program started.");
    w.sample({}, s.uptime_s);
    w.gauge("regrow_config_generation", "Number of the configuration in force; a reload adds one.");
    w.sample({}, count(s.generation));
    w.gauge("regrow_workers", "Threads that carry requests.");
    w.sample({}, s.workers);
    w.gauge("regrow_recoveries_paused", "1 while an operator has paused recoveries.");
    w.sample({}, s.paused);
    w.gauge("regrow_draining", "1 while the program finishes its requests before it stops.");
    w.sample({}, s.draining);
}

void writeTls(MetricsWriter& w, const Status& s) {
    const auto each = [&](uint64_t control::ListenerStatus::* value) {
        for (const auto& l : s.listeners)
            if (l.tls) w.sample({{"listen", l.listen}}, count(l.*value));
    };
    w.counter("regrow_listener_tls_handshakes_total", "TLS handshakes completed.");
    each(&control::ListenerStatus::handshakes);
    w.counter("regrow_listener_tls_resumptions_total", "Of those, shortened by a ticket.");
    each(&control::ListenerStatus::resumptions);
    w.counter("regrow_listener_tls_failures_total",
              "TLS handshakes that failed, by whomever's fault.");
    each(&control::ListenerStatus::handshake_failures);
}

void writeListeners(MetricsWriter& w, const Status& s) {
    w.counter("regrow_listener_connections_total", "Connections accepted.");
    for (const auto& l : s.listeners) w.sample({{"listen", l.listen}}, count(l.connections));
    w.gauge("regrow_listener_open_connections", "Connections open now.");
    for (const auto& l : s.listeners) w.sample({{"listen", l.listen}}, count(l.open));
    w.counter("regrow_listener_requests_total", "Requests read.");
    for (const auto& l : s.listeners) w.sample({{"listen", l.listen}}, count(l.requests));
    w.counter("regrow_listener_bad_requests_total",
              "Requests refused because they break HTTP or a limit.");
    for (const auto& l : s.listeners) w.sample({{"listen", l.listen}}, count(l.bad_requests));
    w.counter("regrow_listener_refused_total",
              "Connections and requests that a limit of ours refused, by reason.");
    for (const auto& l : s.listeners)
        for (size_t i = 0; i < kRefusals; ++i)
            w.sample({{"listen", l.listen}, {"reason", kRefusalNames[i]}}, count(l.refused[i]));
    writeTls(w, s);
}

void writePools(MetricsWriter& w, const Status& s) {
    w.gauge("regrow_pool_state", "1 for the state the pool is in.");
    for (const auto& [name, p] : s.pools)
        w.state({{"pool", name}}, {"up", "degraded", "down"}, p.state);
    w.gauge("regrow_pool_held_requests", "Requests waiting now for a backend to come up.");
    for (const auto& [name, p] : s.pools) w.sample({{"pool", name}}, count(p.held));
    w.counter("regrow_pool_held_requests_total", "Requests that ever had to wait for a backend.");
    for (const auto& [name, p] : s.pools) w.sample({{"pool", name}}, count(p.held_total));
    w.counter("regrow_pool_requests_total", "Requests routed to the pool.");
    for (const auto& [name, p] : s.pools) w.sample({{"pool", name}}, count(p.requests));
    w.counter("regrow_pool_errors_total", "Requests the pool could not answer.");
    for (const auto& [name, p] : s.pools) w.sample({{"pool", name}}, count(p.errors));
    w.counter("regrow_pool_retries_total", "Further attempts at a request.");
    for (const auto& [name, p] : s.pools) w.sample({{"pool", name}}, count(p.retries));
    w.counter("regrow_pool_hedges_total", "Requests that a second backend was asked for as well.");
    for (const auto& [name, p] : s.pools) w.sample({{"pool", name}}, count(p.hedges));
    w.counter("regrow_pool_hedges_won_total", "Of those, answered by the second.");
    for (const auto& [name, p] : s.pools) w.sample({{"pool", name}}, count(p.hedges_won));
}

template <class Fn>
void forBackends(const Status& s, Fn&& fn) {
    for (const auto& [name, pool] : s.pools)
        for (const auto& b : pool.backends) fn(name, b);
}

template <class Value>
void writeBackendValue(MetricsWriter& w, const Status& s, Value&& value) {
    forBackends(s, [&](const std::string& pool, const BackendStatus& b) {
        w.sample({{"pool", pool}, {"backend", b.name}}, value(b));
    });
}

void writeBackendStates(MetricsWriter& w, const Status& s) {
    w.gauge("regrow_backend_state", "1 for the state the backend is in.");
    forBackends(s, [&](const std::string& pool, const BackendStatus& b) {
        w.state({{"pool", pool}, {"backend", b.name}},
                {"starting", "up", "suspect", "down", "draining", "maintenance", "restoring",
                 "warming"},
                b.state);
    });
    w.gauge("regrow_backend_state_changed_timestamp_seconds",
            "When the backend came into its state.");
    writeBackendValue(w, s, [](const auto& b) { return unixSeconds(b.since); });
    w.gauge("regrow_backend_epoch", "Number of the server that fills the backend's place.");
    writeBackendValue(w, s, [](const auto& b) { return count(b.epoch); });
    w.gauge("regrow_backend_check_duration_seconds", "How long the last check took.");
    writeBackendValue(w, s, [](const auto& b) { return b.check.took_ms / 1000; });
}

void writeFailures(MetricsWriter& w, const Status& s) {
    w.counter("regrow_backend_failures_total", "Exchanges that failed at the backend, by reason.");
    forBackends(s, [&](const std::string& pool, const BackendStatus& b) {
        const auto one = [&](std::string_view reason, uint64_t n) {
            w.sample({{"pool", pool}, {"backend", b.name}, {"reason", reason}}, count(n));
        };
        one("connect", b.connect_failures);
        one("reset", b.resets);
        one("timeout", b.timeouts);
        one("bad_answer", b.bad_answers);
        one("status_5xx", b.status_5xx);
    });
}

void writeLatency(MetricsWriter& w, const Status& s) {
    // Without _sum and _count: the percentiles are of a sliding window, and no mean can be taken
    // from them.
    w.summary("regrow_backend_latency_seconds",
              "Time to the first byte of the answer, recent requests.");
    forBackends(s, [&](const std::string& pool, const BackendStatus& b) {
        const auto one = [&](std::string_view quantile, double ms) {
            w.sample({{"pool", pool}, {"backend", b.name}, {"quantile", quantile}}, ms / 1000);
        };
        one("0.5", b.latency.p50_ms);
        one("0.9", b.latency.p90_ms);
        one("0.99", b.latency.p99_ms);
    });
}

void writeBackendTraffic(MetricsWriter& w, const Status& s) {
    w.gauge("regrow_backend_in_flight_requests", "Requests at the backend now.");
    writeBackendValue(w, s, [](const auto& b) { return count(b.in_flight); });
    w.counter("regrow_backend_requests_total", "Requests sent to the backend.");
    writeBackendValue(w, s, [](const auto& b) { return count(b.requests); });
    w.counter("regrow_backend_errors_total", "Requests the backend failed.");
    writeBackendValue(w, s, [](const auto& b) { return count(b.errors); });
    w.counter("regrow_backend_received_bytes_total", "Bytes read from the backend.");
    writeBackendValue(w, s, [](const auto& b) { return count(b.bytes_in); });
    w.counter("regrow_backend_sent_bytes_total", "Bytes written to the backend.");
    writeBackendValue(w, s, [](const auto& b) { return count(b.bytes_out); });
    w.counter("regrow_backend_stalls_total", "Times that the backend fell silent for a worker.");
    writeBackendValue(w, s, [](const auto& b) { return count(b.stalls); });
    writeFailures(w, s);
    writeLatency(w, s);
}

void writeSpares(MetricsWriter& w, const Status& s) {
    w.gauge("regrow_spare_state", "1 for the state the spare is in.");
    for (const auto& [name, pool] : s.pools)
        for (const auto& spare : pool.spares)
            w.state({{"pool", name}, {"spare", spare.name}},
                    {"free", "claimed", "in_use", "dirty", "quarantined", "lost"}, spare.state);
}

template <class Fn>
void forBackups(const Status& s, Fn&& fn) {
    for (const auto& [name, pool] : s.pools)
        if (pool.backup) fn(name, *pool.backup);
}

void writeLatestSnapshots(MetricsWriter& w, const Status& s) {
    const auto each = [&](auto&& value) {
        forBackups(s, [&](const std::string& pool, const control::BackupStatus& b) {
            if (b.latest) w.sample({{"pool", pool}}, value(*b.latest));
        });
    };
    w.gauge("regrow_backup_latest_timestamp_seconds", "Instant of the newest snapshot.");
    each([](const auto& l) { return unixSeconds(l.time); });
    w.gauge("regrow_backup_latest_size_bytes", "Size of the newest snapshot.");
    each([](const auto& l) { return count(l.bytes); });
    w.gauge("regrow_backup_latest_verified",
            "1 when the newest snapshot was read back and matched.");
    each([](const auto& l) { return l.verified ? 1.0 : 0.0; });
}

void writeBackups(MetricsWriter& w, const Status& s) {
    w.gauge("regrow_backup_snapshots", "Snapshots that can be restored.");
    forBackups(s, [&](const auto& pool, const auto& b) {
        w.sample({{"pool", pool}}, count(b.snapshots));
    });
    w.gauge("regrow_backup_rpo_seconds",
            "Age of the newest restorable data, of the pool's worst backend.");
    forBackups(s, [&](const auto& pool, const auto& b) {
        if (b.rpo_s) w.sample({{"pool", pool}}, *b.rpo_s);
    });
    w.gauge("regrow_backup_rto_estimate_seconds",
            "How long a recovery would take, from measured restores.");
    forBackups(s, [&](const auto& pool, const auto& b) {
        if (b.rto_estimate_s) w.sample({{"pool", pool}}, *b.rto_estimate_s);
    });
    w.gauge("regrow_backup_failing", "1 when the last capture failed.");
    forBackups(s, [&](const auto& pool, const auto& b) {
        w.sample({{"pool", pool}}, b.last_error.empty() ? 0 : 1);
    });
    writeLatestSnapshots(w, s);
}

void writeActiveRecoveries(MetricsWriter& w, const Status& s) {
    w.gauge("regrow_recovery_state",
            "1 for each recovery under way, with the state it is in and why it is held.");
    for (const auto& [name, pool] : s.pools)
        for (const auto& r : pool.active) {
            if (r.held.empty())
                w.sample({{"pool", name}, {"backend", r.backend}, {"state", r.state}}, 1);
            else
                w.sample({{"pool", name},
                          {"backend", r.backend},
                          {"state", "held"},
                          {"held_reason", r.held}},
                         1);
        }
    w.gauge("regrow_recovery_progress_ratio", "How much of the restore is done, 0 to 1.");
    for (const auto& [name, pool] : s.pools)
        for (const auto& r : pool.active)
            w.sample({{"pool", name}, {"backend", r.backend}}, r.progress);
}

template <class Value>
void writeLastRecovery(MetricsWriter& w, const Status& s, Value&& value) {
    for (const auto& [name, pool] : s.pools)
        if (!pool.recoveries.empty()) w.sample({{"pool", name}}, value(pool.recoveries.back()));
}

void writePastRecoveries(MetricsWriter& w, const Status& s) {
    w.counter("regrow_recoveries_total", "Recoveries that ended, by result.");
    for (const auto& [name, pool] : s.pools)
        for (const auto& [result, n] : pool.recovery_results)
            w.sample({{"pool", name}, {"result", result}}, count(n));
    w.gauge("regrow_last_recovery_down_seconds",
            "How long the backend did not serve, last recovery.");
    writeLastRecovery(w, s, [](const auto& r) { return r.down_s; });
    w.gauge("regrow_last_recovery_restored_bytes", "Bytes restored in the last recovery.");
    writeLastRecovery(w, s, [](const auto& r) { return count(r.restored_bytes); });
    w.gauge("regrow_last_recovery_lost_seconds",
            "Age of the restored snapshot at the moment of death.");
    for (const auto& [name, pool] : s.pools)
        if (!pool.recoveries.empty() && pool.recoveries.back().lost_s)
            w.sample({{"pool", name}}, *pool.recoveries.back().lost_s);
}

void writeRepositories(MetricsWriter& w, const Status& s) {
    w.gauge("regrow_repository_reachable", "1 when the repository answers.");
    for (const auto& [name, r] : s.repositories) w.sample({{"repository", name}}, r.reachable);
    w.gauge("regrow_repository_snapshots", "Snapshots in the repository.");
    for (const auto& [name, r] : s.repositories)
        w.sample({{"repository", name}}, count(r.snapshots));
    w.gauge("regrow_repository_size_bytes", "Bytes the repository takes.");
    for (const auto& [name, r] : s.repositories) w.sample({{"repository", name}}, count(r.bytes));
    w.gauge("regrow_repository_free_bytes", "Bytes left where the repository lives.");
    for (const auto& [name, r] : s.repositories)
        w.sample({{"repository", name}}, count(r.free_bytes));
}

}  // namespace

std::string metricsText(const Status& status) {
    MetricsWriter w;
    writeProcess(w, status);
    writeListeners(w, status);
    writePools(w, status);
    writeBackendStates(w, status);
    writeBackendTraffic(w, status);
    writeSpares(w, status);
    writeBackups(w, status);
    writeActiveRecoveries(w, status);
    writePastRecoveries(w, status);
    writeRepositories(w, status);
    return std::move(w).take();
}

}  // namespace regrow::admin
