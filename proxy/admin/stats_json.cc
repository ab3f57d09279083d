#include "proxy/admin/stats_json.h"

#include "base/json.h"
#include "base/text.h"

namespace regrow::admin {
namespace {

using json::Writer;

void writeTime(Writer& w, std::string_view name, const std::optional<WallTime>& time) {
    w.key(name);
    if (time) {
        w.value(formatTime(*time));
    } else {
        w.null();
    }
}

void writeListener(Writer& w, const control::ListenerStatus& l) {
    w.beginObject()
        .field("listen", l.listen)
        .field("connections", l.connections)
        .field("open", l.open);
    w.field("requests", l.requests).field("bad_requests", l.bad_requests).field("tls", l.tls);
    w.key("refused").beginObject();
    for (size_t i = 0; i < kRefusals; ++i) w.field(kRefusalNames[i], l.refused[i]);
    w.endObject().endObject();
}

void writeCheck(Writer& w, const control::CheckStatus& c) {
    w.key("check").beginObject();
    writeTime(w, "last", c.last);
    w.field("result", c.result)
        .field("took_ms", c.took_ms)
        .field("rise", c.rise)
        .field("fall", c.fall);
    w.endObject();
}

void writeFailures(Writer& w, const control::BackendStatus& b) {
    w.key("failures").beginObject();
    w.field("connect", b.connect_failures).field("reset", b.resets).field("timeout", b.timeouts);
    w.field("bad_answer", b.bad_answers).field("status_5xx", b.status_5xx).endObject();
}

void writeBackend(Writer& w, const control::BackendStatus& b) {
    w.beginObject().field("name", b.name).field("state", b.state).field("server", b.server);
    w.field("address", b.address).field("epoch", b.epoch);
    if (!b.lookup.empty()) {
        w.key("resolved").beginObject().field("name", b.lookup);
        w.field("error", b.lookup_error).endObject();
    }
    writeTime(w, "since", b.since);
    w.field("pid", b.pid);
    w.field("reason", b.reason).field("in_flight", b.in_flight).field("requests", b.requests);
    w.field("errors", b.errors);
    writeFailures(w, b);
    w.field("stalls", b.stalls);
    w.field("received_bytes", b.bytes_in).field("sent_bytes", b.bytes_out);
    w.key("latency_ms").beginObject().field("p50", b.latency.p50_ms).field("p90", b.latency.p90_ms);
    w.field("p99", b.latency.p99_ms).endObject();
    writeCheck(w, b.check);
    w.endObject();
}

void writeSpare(Writer& w, const control::SpareStatus& s) {
    w.beginObject().field("name", s.name).field("address", s.address).field("state", s.state);
    w.field("reason", s.reason).endObject();
}

void writeSnapshot(Writer& w, const control::SnapshotStatus& s) {
    w.beginObject().field("id", s.id).field("name", s.name);
    writeTime(w, "time", s.time);
    w.field("type", s.type).field("bytes", s.bytes).field("verified", s.verified);
    w.field("incomplete", s.incomplete).field("suspicious", s.suspicious).endObject();
}

void writeBackup(Writer& w, const std::optional<control::BackupStatus>& backup) {
    w.key("backup");
    if (!backup) {
        w.null();
        return;
    }
    w.beginObject().field("snapshots", backup->snapshots).key("latest");
    if (backup->latest) {
        writeSnapshot(w, *backup->latest);
    } else {
        w.null();
    }
    w.field("rpo_s", backup->rpo_s).field("rto_estimate_s", backup->rto_estimate_s);
    w.key("last_drill").null().field("last_error", backup->last_error).endObject();
}

// Leaves the object open, so that a caller may add the pool's name.
void beginActive(Writer& w, const control::RecoveryStatus& r) {
    w.beginObject().field("id", r.id).field("backend", r.backend).field("spare", r.spare);
    w.field("state", r.state).field("reason", r.reason);
    writeTime(w, "since", r.since);
    w.field("progress", r.progress)
        .field("restored_bytes", r.restored_bytes)
        .field("snapshot", r.snapshot);
}

void beginPast(Writer& w, const control::PastRecoveryStatus& r) {
    w.beginObject()
        .field("id", r.id)
        .field("backend", r.backend)
        .field("from", r.from)
        .field("to", r.to);
    w.field("result", r.result).field("snapshot", r.snapshot);
    writeTime(w, "started", r.started);
    w.field("lost_s", r.lost_s).field("down_s", r.down_s).field("detected_ms", r.detected_ms);
    w.field("restored_bytes", r.restored_bytes).field("restore_ms", r.restore_ms);
    w.key("steps").beginArray();
    for (const auto& s : r.steps)
        w.beginObject().field("step", s.step).field("took_ms", s.took_ms).endObject();
    w.endArray();
}

void writePoolRecoveries(Writer& w, const control::PoolStatus& pool) {
    w.key("recovery");
    if (pool.active.empty()) {
        w.null();
    } else {
        beginActive(w, pool.active.front());
        w.endObject();
    }
    w.key("active_recoveries").beginArray();
    for (const auto& r : pool.active) beginActive(w, r), w.endObject();
    w.endArray().key("recoveries").beginArray();
    for (const auto& r : pool.recoveries) beginPast(w, r), w.endObject();
    w.endArray();
}

void writePool(Writer& w, const control::PoolStatus& pool) {
    w.beginObject()
        .field("state", pool.state)
        .field("held", pool.held)
        .field("held_total", pool.held_total);
    w.field("requests", pool.requests).field("errors", pool.errors).field("retries", pool.retries);
    w.field("hedges", pool.hedges).field("hedges_won", pool.hedges_won);
    w.key("backends").beginArray();
    for (const auto& b : pool.backends) writeBackend(w, b);
    w.endArray().key("spares").beginArray();
    for (const auto& s : pool.spares) writeSpare(w, s);
    w.endArray();
    writeBackup(w, pool.backup);
    writePoolRecoveries(w, pool);
    w.endObject();
}

void writeRepository(Writer& w, const control::RepositoryStatus& r) {
    w.beginObject()
        .field("reachable", r.reachable)
        .field("snapshots", r.snapshots)
        .field("bytes", r.bytes);
    w.field("free_bytes", r.free_bytes).field("error", r.error).endObject();
}

void writeEvent(Writer& w, const control::Event& e) {
    w.beginObject().field("seq", e.seq);
    writeTime(w, "time", e.time);
    w.field("pool", e.pool).field("backend", e.backend).field("kind", e.kind).field("text", e.text);
    w.key("details").beginObject();
    for (const auto& [key, value] : e.details) w.field(key, value);
    w.endObject().endObject();
}

}  // namespace

std::string statsJson(const control::Status& status, WallTime now) {
    Writer w;
    w.beginObject().field("version", REGROW_VERSION).field("generation", status.generation);
    writeTime(w, "time", now);
    w.field("uptime_s", status.uptime_s)
        .field("workers", status.workers)
        .field("paused", status.paused);
    w.field("draining", status.draining).key("listeners").beginArray();
    for (const auto& l : status.listeners) writeListener(w, l);
    w.endArray().key("pools").beginObject();
    for (const auto& [name, pool] : status.pools) w.key(name), writePool(w, pool);
    w.endObject().key("repositories").beginObject();
    for (const auto& [name, repository] : status.repositories)
        w.key(name), writeRepository(w, repository);
    w.endObject().endObject();
    return w.text();
}

std::string recoveriesJson(const control::Status& status) {
    Writer w;
    w.beginObject().key("active").beginArray();
    for (const auto& [name, pool] : status.pools)
        for (const auto& r : pool.active) beginActive(w, r), w.field("pool", name).endObject();
    w.endArray().key("recoveries").beginArray();
    for (const auto& [name, pool] : status.pools)
        for (const auto& r : pool.recoveries) beginPast(w, r), w.field("pool", name).endObject();
    w.endArray().endObject();
    return w.text();
}

std::string snapshotsJson(const std::vector<control::SnapshotStatus>& snapshots,
                          std::string_view name) {
    Writer w;
    w.beginObject().key("snapshots").beginArray();
    for (const auto& s : snapshots)
        if (name.empty() || s.name == name) writeSnapshot(w, s);
    w.endArray().endObject();
    return w.text();
}

std::string eventJson(const control::Event& event) {
    Writer w;
    writeEvent(w, event);
    return w.text();
}

std::string eventsJson(const std::vector<control::Event>& events) {
    Writer w;
    w.beginObject().key("events").beginArray();
    for (const auto& e : events) writeEvent(w, e);
    w.endArray().endObject();
    return w.text();
}

}  // namespace regrow::admin
