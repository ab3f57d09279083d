#include "proxy/control/counters.h"

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

namespace regrow::control {
namespace {

std::string keyOf(const Place& place) {
    return "backend " + place.name();
}
std::string keyOf(const PoolState& pool) {
    return "pool " + pool.conf.name;
}
std::string keyOf(const ListenerState& listener) {
    return "listener " + listener.conf.listen.text();
}

Counters::Totals now(const BackendStats& stats) {
    using S = BackendShard;
    return {{"requests", stats.sum(&S::requests)},
            {"connect_failures", stats.sum(&S::connect_failures)},
            {"resets", stats.sum(&S::resets)},
            {"timeouts", stats.sum(&S::timeouts)},
            {"bad_answers", stats.sum(&S::bad_answers)},
            {"status_5xx", stats.sum(&S::status_5xx)},
            {"stalls", stats.sum(&S::stalls)},
            {"bytes_in", stats.sum(&S::bytes_in)},
            {"bytes_out", stats.sum(&S::bytes_out)}};
}

Counters::Totals now(const PoolStats& stats) {
    using S = PoolShard;
    return {{"requests", stats.sum(&S::requests)},
            {"errors", stats.sum(&S::errors)},
            {"retries", stats.sum(&S::retries)},
            {"hedges", stats.sum(&S::hedges)},
            {"hedges_won", stats.sum(&S::hedges_won)},
            {"held", stats.sum(&S::held)},
            {"client_aborts", stats.sum(&S::client_aborts)}};
}

Counters::Totals now(const ListenerStats& stats) {
    using S = ListenerShard;
    Counters::Totals totals{{"connections", stats.sum(&S::connections)},
                            {"requests", stats.sum(&S::requests)},
                            {"bad_requests", stats.sum(&S::bad_requests)},
                            {"handshakes", stats.sum(&S::handshakes)},
                            {"resumptions", stats.sum(&S::resumptions)},
                            {"handshake_failures", stats.sum(&S::handshake_failures)}};
    for (size_t i = 0; i < kRefusals; ++i)
        totals[std::string("refused_") + kRefusalNames[i]] = stats.refused(static_cast<Refusal>(i));
    return totals;
}

constexpr std::string_view kRecoveries = "recoveries ";  // + pool: counts by result, and "last"

void write(json::Writer& w, const std::string& key, const Counters::Totals& totals) {
    w.key(key).beginObject();
    for (const auto& [name, value] : totals) w.field(name, value);
    w.endObject();
}

}  // namespace

Counters Counters::load(const std::string& path) {
    Counters counters;
    counters.path_ = path;
    if (!exists(path)) return counters;
    const auto text = readFile(path);
    const auto document = text ? json::parse(*text) : std::unexpected(text.error());
    if (!document || !document->IsObject()) {
        log::warn("counters", "{} cannot be read, counting begins anew", path);
        return counters;
    }
    for (const auto& member : document->GetObject()) {
        if (!member.value.IsObject()) continue;
        const std::string_view key(member.name.GetString(), member.name.GetStringLength());
        if (key.starts_with(kRecoveries)) {
            auto& ended = counters.ended_[std::string(key.substr(kRecoveries.size()))];
            ended.last = json::getString(member.value, "last").value_or("");
            for (const auto& total : member.value.GetObject())
                if (total.value.IsUint64())
                    ended.results[total.name.GetString()] = total.value.GetUint64();
            continue;
        }
        for (const auto& total : member.value.GetObject())
            if (total.value.IsUint64())
                counters.earlier_[member.name.GetString()][total.name.GetString()] =
                    total.value.GetUint64();
    }
    return counters;
}

Result<> Counters::save(const Registry& registry) {
    for (const auto& [pool, past] : registry.journal().saved().past)
        if (!past.empty()) ended_[pool] = {recoveries(registry, pool), past.back().id};
    json::Writer w;
    w.beginObject();
    for (const auto& [name, pool] : registry.pools()) {
        write(w, keyOf(pool), this->pool(pool));
        for (const auto& place : pool.places) write(w, keyOf(*place), backend(*place));
    }
    for (const auto& state : registry.listeners()) write(w, keyOf(state), listener(state));
    for (const auto& [pool, ended] : ended_) {
        w.key(std::string(kRecoveries) + pool).beginObject().field("last", ended.last);
        for (const auto& [result, count] : ended.results) w.field(result, count);
        w.endObject();
    }
    return writeFileAtomic(path_, w.endObject().text());
}

Counters::Totals Counters::withEarlier(const std::string& key, Totals totals) const {
    if (const auto it = earlier_.find(key); it != earlier_.end())
        for (const auto& [name, value] : it->second) totals[name] += value;
    return totals;
}

Counters::Totals Counters::backend(const Place& place) const {
    return withEarlier(keyOf(place), now(*place.stats));
}
Counters::Totals Counters::pool(const PoolState& pool) const {
    return withEarlier(keyOf(pool), now(*pool.stats));
}
Counters::Totals Counters::listener(const ListenerState& listener) const {
    return withEarlier(keyOf(listener), now(*listener.stats));
}

Counters::Totals Counters::recoveries(const Registry& registry, const std::string& pool) const {
    const auto counted = ended_.find(pool);
    Ended ended = counted == ended_.end() ? Ended{} : counted->second;
    const auto& past = registry.journal().saved().past;
    const auto listed = past.find(pool);
    if (listed == past.end()) return ended.results;
    const auto& all = listed->second;
    const auto last =
        std::ranges::find(all, ended.last, [](const auto& recovery) { return recovery.id; });
    for (auto it = last == all.end() ? all.begin() : std::next(last); it != all.end(); ++it)
        ++ended.results[it->result];
    return ended.results;
}

}  // namespace regrow::control
