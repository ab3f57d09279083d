#include "proxy/recovery/journal_patch.h"

#include <algorithm>

#include "proxy/recovery/budget_fields.h"
#include "proxy/recovery/journal_fields.h"
#include "proxy/recovery/machine_fields.h"

namespace regrow {

// In the namespace of ProcessId, so that it is found.
template <class V, class R>
    requires std::is_same_v<std::remove_const_t<R>, ProcessId>
void fields(V& visit, R& p) {
    visit("pid", p.pid);
    visit("start_ticks", p.start_ticks);
    visit("boot_id", p.boot_id);
}

}  // namespace regrow

namespace regrow::recovery {
namespace {

constexpr size_t kServerStates = 6;

}  // namespace

inline bool wordFrom(std::string_view text, ServerState& v) {
    return wordAmong(text, kServerStates, v);
}

template <class V, class R>
    requires std::is_same_v<std::remove_const_t<R>, Assignment>
void fields(V& visit, R& a) {
    visit("server", a.server);
    visit("epoch", a.epoch);
    visit("lineage", a.lineage);
    visit("config_hash", a.config_hash);
    visit("last_server", a.last_server);
    visit("last_epoch", a.last_epoch);
}

template <class V, class R>
    requires std::is_same_v<std::remove_const_t<R>, BackendFlags>
void fields(V& visit, R& f) {
    visit("drained", f.drained);
    visit("maintenance", f.maintenance);
    visit("ever_up", f.ever_up);
    visit("gave_up", f.gave_up);
}

template <class V, class R>
    requires std::is_same_v<std::remove_const_t<R>, ServerRecord>
void fields(V& visit, R& s) {
    visit("state", s.state);
    visit("reason", s.reason);
    visit("claimed_by", s.claimed_by);
}

template <class V, class R>
    requires std::is_same_v<std::remove_const_t<R>, ProcessRecord>
void fields(V& visit, R& p) {
    visit("id", p.id);
    visit("started", p.started);
    visit("epoch", p.epoch);
}

template <class V, class R>
    requires std::is_same_v<std::remove_const_t<R>, PastRecovery>
void fields(V& visit, R& p) {
    visit("id", p.id);
    visit("backend", p.backend);
    visit("from", p.from);
    visit("to", p.to);
    visit("result", p.result);
    visit("reason", p.reason);
    visit("snapshot", p.snapshot);
    visit("started", p.started);
    visit("lost_s", p.lost_s);
    visit("down_s", p.down_s);
    visit("detected_ms", p.detected_ms);
    visit("restored_bytes", p.restored_bytes);
    visit("restore_ms", p.restore_ms);
    visit("steps", p.steps);
}

template <class V, class T>
void fields(V& visit, const Change<T>& c) {
    visit("pool", c.pool);
    visit("name", c.name);
    visit("value", c.value);
}
template <class V, class T>
void fields(V& visit, Change<T>& c) {
    visit("pool", c.pool);
    visit("name", c.name);
    visit("value", c.value);
}

namespace {

template <class V, class P>
void patchFields(V&& visit, P& p) {
    visit("assignments", p.assignments);
    visit("flags", p.flags);
    visit("recoveries", p.recoveries);
    visit("flaps", p.flaps);
    visit("servers", p.servers);
    visit("processes", p.processes);
    visit("budgets", p.budgets);
    visit("past", p.past);
    visit("repositories", p.repositories);
    visit("paused", p.paused);
    visit("event_seq", p.event_seq);
}

template <class T>
bool absent(const std::vector<T>& v) {
    return v.empty();
}
template <class T>
bool absent(const std::optional<T>& v) {
    return !v;
}

template <class Key, class T>
void applyTo(std::map<Key, T>& map, Key key, const Change<T>& change) {
    if (change.value)
        map[std::move(key)] = *change.value;
    else
        map.erase(key);
}

template <class T>
void applyAll(const std::vector<Change<T>>& changes, std::map<BackendKey, T>& map) {
    for (const auto& c : changes) applyTo(map, BackendKey{c.pool, c.name}, c);
}
template <class T>
void applyAll(const std::vector<Change<T>>& changes, std::map<ServerKey, T>& map) {
    for (const auto& c : changes) applyTo(map, ServerKey{c.pool, c.name}, c);
}

void remember(const Change<PastRecovery>& change, Saved& saved) {
    if (!change.value) return;
    auto& all = saved.past[change.pool];
    all.push_back(*change.value);
    if (all.size() > kPastRecoveriesPerPool) all.erase(all.begin());
}

template <class T>
void copyAll(const std::map<BackendKey, T>& map, std::vector<Change<T>>& out) {
    for (const auto& [key, value] : map) out.push_back({key.pool, key.backend, value});
}
template <class T>
void copyAll(const std::map<ServerKey, T>& map, std::vector<Change<T>>& out) {
    for (const auto& [key, value] : map) out.push_back({key.pool, key.server, value});
}

int64_t since(Instant t) {
    return nanoseconds(t.time_since_epoch());
}

// The instant, on our clock, at which the record was written.
Instant writtenAt(const rapidjson::Value& record, const Clock& clock) {
    const auto mono = json::getInt(record, "mono");
    const auto wall = json::getInt(record, "wall");
    const auto now = clock.now();
    if (mono && json::getString(record, "boot") == bootId() && *mono >= 0 && *mono <= since(now))
        return Instant(fromNanoseconds(*mono));
    if (!wall) return now;
    const auto passed = nanoseconds(clock.wallNow().time_since_epoch()) - *wall;
    constexpr int64_t kLongest =
        int64_t{86'400'000'000'000} * 30;  // a clock that leaps must not overflow anything
    return now - fromNanoseconds(std::clamp<int64_t>(passed, 0, kLongest));
}

}  // namespace

void apply(const Patch& patch, Saved& saved) {
    applyAll(patch.assignments, saved.assignments);
    applyAll(patch.flags, saved.flags);
    applyAll(patch.recoveries, saved.recoveries);
    applyAll(patch.flaps, saved.flaps);
    applyAll(patch.servers, saved.servers);
    applyAll(patch.processes, saved.processes);
    for (const auto& c : patch.budgets) applyTo(saved.budgets, std::string(c.pool), c);
    for (const auto& c : patch.past) remember(c, saved);
    for (const auto& c : patch.repositories) applyTo(saved.repositories, std::string(c.name), c);
    if (patch.paused) saved.paused = *patch.paused;
    if (patch.event_seq) saved.event_seq = *patch.event_seq;
}

Patch wholeOf(const Saved& saved) {
    Patch patch;
    copyAll(saved.assignments, patch.assignments);
    copyAll(saved.flags, patch.flags);
    copyAll(saved.recoveries, patch.recoveries);
    copyAll(saved.flaps, patch.flaps);
    copyAll(saved.servers, patch.servers);
    copyAll(saved.processes, patch.processes);
    for (const auto& [pool, budget] : saved.budgets) patch.budgets.push_back({pool, {}, budget});
    for (const auto& [pool, all] : saved.past)
        for (const auto& one : all) patch.past.push_back({pool, one.id, one});
    for (const auto& [name, id] : saved.repositories) patch.repositories.push_back({{}, name, id});
    patch.paused = saved.paused;
    patch.event_seq = saved.event_seq;
    return patch;
}

std::string toJson(const Patch& patch, const Clock& clock) {
    json::Writer writer;
    const Instant now = clock.now();
    writer.beginObject();
    writer.field("boot", bootId()).field("mono", since(now));
    writer.field("wall", nanoseconds(clock.wallNow().time_since_epoch()));
    FieldWriter visit(writer, now);
    patchFields(
        [&](const char* key, const auto& value) {
            if (!absent(value)) visit(key, value);
        },
        patch);
    writer.endObject();
    return writer.text();
}

Result<Patch> patchFromJson(std::string_view text, const Clock& clock) {
    REGROW_TRY(const auto document, json::parse(text));
    if (!document.IsObject())
        return fail(Code::corrupt, Source::disk, "journal record: not an object");
    Patch patch;
    FieldReader reader(document, writtenAt(document, clock));
    patchFields(reader, patch);
    if (!reader.wrong().empty())
        return fail(Code::corrupt, Source::disk,
                    fmt::format("journal record: field {} is not what it must be", reader.wrong()));
    return patch;
}

}  // namespace regrow::recovery
