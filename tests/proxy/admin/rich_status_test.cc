#include "tests/proxy/admin/fake_control.h"

// The example that the shape, metrics, server, page and command line tests share.
namespace regrow::admin::testing {
namespace {

using namespace std::chrono_literals;

control::BackendStatus backend(std::string name, std::string state, std::string address,
                               WallTime since) {
    control::BackendStatus b;
    b.name = b.server = std::move(name);
    b.state = std::move(state);
    b.address = std::move(address);
    b.epoch = 1;
    b.since = since;
    b.requests = 18234;
    b.in_flight = 3;
    b.latency = {1.9, 4.2, 17.5};
    b.check = {since + 90s, "ok", 2.1, 2, 0};
    return b;
}

control::PastRecoveryStatus pastRecovery(WallTime now) {
    control::PastRecoveryStatus r;
    r.id = "r-0003", r.backend = "wiki-2", r.from = "wiki-2", r.to = "wiki-spare-1",
    r.result = "done";
    r.snapshot = "20261122T195001Z-000412", r.started = now - 3h;
    r.lost_s = 0.0, r.down_s = 2.31, r.detected_ms = 38, r.restored_bytes = 48'211'331,
    r.restore_ms = 812;
    r.steps = {{"decide", 1},   {"fence", 45},  {"choose", 6}, {"restore", 812},
               {"verify", 210}, {"start", 980}, {"warm", 190}, {"protect", 66}};
    return r;
}

control::PoolStatus wiki(WallTime now) {
    control::PoolStatus p;
    p.state = "degraded", p.held = 4, p.held_total = 31, p.requests = 90211, p.errors = 2,
    p.retries = 17;
    p.backends = {backend("wiki-1", "restoring", "127.0.0.1:9001", now - 4s),
                  backend("wiki-2", "up", "127.0.0.1:9002", now - 3h),
                  backend("wiki-3", "draining", "[::1]:9003", now - 7min)};
    p.backends[0].reason = "process exited: killed by SIGKILL";
    p.backends[0].errors = 2, p.backends[0].connect_failures = 2, p.backends[0].in_flight = 0;
    p.backends[0].stalls = 3;
    p.backends[0].check = {now - 1s, "connection refused", 0.3, 0, 4};
    p.backends[1].server = "wiki-spare-1", p.backends[1].epoch = 2,
    p.backends[1].reason = "2 good checks in a row";
    p.backends[2].reason = "drained by admin:page";
    p.spares = {{"wiki-spare-2", "127.0.0.1:9012", "claimed", "for recovery r-0004"},
                {"wiki-2", "127.0.0.1:9002", "quarantined", "came back after it was replaced"}};
    p.backup =
        control::BackupStatus{412,
                              control::SnapshotStatus{"20261122T200313Z-000413", "wiki/wiki-1",
                                                      now - 6s, "incremental", 48'300'112, true},
                              6.2, 2.4, ""};
    p.active = {{"r-0004", "wiki-1", "wiki-spare-2", "restore", "", now - 700ms, 0.62, 29'946'069,
                 "20261122T200313Z-000413"}};
    p.recoveries = {pastRecovery(now)};
    p.recovery_results = {{"done", 3}};
    return p;
}

control::PoolStatus api(WallTime now) {
    control::PoolStatus p;
    p.state = "up", p.requests = 512'002;
    p.backends = {backend("api-1", "up", "127.0.0.1:7001", now - 49h)};
    p.backends[0].check.last.reset();
    return p;
}

}  // namespace

control::Status richStatus(WallTime now) {
    control::Status s;
    s.generation = 3, s.uptime_s = 176'402.5, s.workers = 2;
    s.listeners = {{"0.0.0.0:8080", 4021, 18, 602'213, 3, false}};
    s.pools = {{"wiki", wiki(now)}, {"api", api(now)}};
    s.repositories = {{"main", {true, 412, 913'442'816, 81'604'378'624, ""}},
                      {"far", {false, 0, 0, 0, "connection refused"}}};
    return s;
}

std::vector<control::Event> richEvents(WallTime now) {
    const auto at = [&](auto before, std::string kind, std::string text,
                        std::vector<std::pair<std::string, std::string>> details = {}) {
        control::Event e;
        e.time = now - before, e.pool = "wiki", e.backend = "wiki-1", e.kind = std::move(kind),
        e.text = std::move(text), e.details = std::move(details);
        return e;
    };
    std::vector<control::Event> events = {
        at(3h, "service", "started /usr/bin/radicale", {{"pid", "4127"}, {"start_ticks", "88112"}}),
        at(6s, "backup", "snapshot 20261122T200313Z-000413 taken and proven",
           {{"type", "incremental"}, {"bytes", "12288"}, {"took_ms", "140"}}),
        at(4s, "health", "up -> down: the process exited",
           {{"exit", "killed by SIGKILL"}, {"evidence", "pidfd"}}),
        at(4s, "recovery", "r-0004 begins: fencing epoch 1", {{"epoch", "2"}}),
        at(3s, "recovery",
           "r-0004: spare wiki-spare-2 claimed, snapshot 20261122T200313Z-000413 chosen"),
        at(1s, "recovery", "r-0004: restoring 48.3 MB <b>not bold</b>", {{"progress", "0.62"}}),
    };
    for (size_t i = 0; i < events.size(); ++i) events[i].seq = i + 1;
    return events;
}

}  // namespace regrow::admin::testing
