// ControlPlane's answers to operators: the changing calls of the admin endpoint and of the verbs.
#include <algorithm>

#include "base/text.h"
#include "proxy/control/control_plane.h"
#include "proxy/recovery/machine.h"

namespace regrow::control {
namespace {

std::unexpected<Error> unknown(const std::string& what) {
    return fail(Code::not_found, Source::client, what);
}

std::string names(const PoolState& pool) {
    std::string all;
    for (const auto& place : pool.places) all += (all.empty() ? "" : ", ") + place->key.backend;
    return all;
}

// An id's beginning, or a time: then the newest proven one captured at or before it. Null: none.
const recovery::SnapshotInfo* meant(const std::vector<recovery::SnapshotInfo>& snapshots,
                                    const std::string& what) {
    const auto time = parseTime(what);
    const recovery::SnapshotInfo* found = nullptr;
    for (const auto& snapshot : snapshots)
        if (snapshot.proven && (time ? snapshot.time <= *time : snapshot.id.starts_with(what)))
            found = &snapshot;
    return found;
}

}  // namespace

Result<std::string> ControlPlane::act(const std::string& verb, const std::string& pool_name,
                                      const std::string& target, const std::string& snapshot,
                                      const std::string& actor) {
    PoolState* const pool = registry_.pool(pool_name);
    if (!pool) return unknown("there is no pool " + pool_name);
    if (verb == "quarantine" || verb == "release") return actOnServer(verb, *pool, target, actor);
    Place* const place = pool->find(target);
    if (!place)
        return unknown("pool " + pool_name + " has no backend " + target + "; it has " +
                       names(*pool));
    return actOnBackend(verb, *place, snapshot, actor);
}

Result<std::string> ControlPlane::actOnBackend(const std::string& verb, Place& place,
                                               const std::string& snapshot,
                                               const std::string& actor) {
    auto flags = registry_.flags(place);
    if (verb == "drain")
        return flags.drained = true, setFlags(place, flags, "drained: no new requests", actor);
    if (verb == "undrain") {
        if (flags.drained) registry_.poolOf(place).beginRamp(place, loop_.now());
        flags.drained = flags.maintenance = false;
        return setFlags(place, flags, "takes requests again", actor);
    }
    if (verb == "maintenance") {
        flags.drained = flags.maintenance = true;
        return setFlags(place, flags,
                        "in maintenance: no new requests, checks may fail, nothing is recovered "
                        "(undrain ends it)",
                        actor);
    }
    if (verb == "recover") return recover(place, snapshot, actor);
    if (verb == "backup") {
        REGROW_CHECK(backups_.request(place, snapshot == "full"));
        events_.add(place.key.pool, place.key.backend, "admin", "a capture was asked for",
                    {{"by", actor}});
        return "a capture of " + place.name() + " starts now";
    }
    return unknown("there is no verb " + verb);
}

Result<std::string> ControlPlane::setFlags(Place& place, const recovery::BackendFlags& flags,
                                           const std::string& what, const std::string& actor) {
    REGROW_CHECK(journal_->flag(place.key, flags));
    events_.add(place.key.pool, place.key.backend, "admin", what, {{"by", actor}});
    views_.changed();
    driver_.gateChanged();
    return place.name() + " " + what;
}

Result<std::string> ControlPlane::recover(Place& place, const std::string& snapshot,
                                          const std::string& actor) {
    if (place.recovery)
        return fail(Code::refused, Source::client,
                    place.name() + " is being recovered already: " + place.recovery->id);
    if (!registry_.poolOf(place).recovers())
        return fail(Code::refused, Source::client,
                    "pool " + place.key.pool + " has neither spares nor a backup to recover from");
    std::string id;
    if (!snapshot.empty()) {
        const auto* const wanted = meant(place.snapshots, snapshot);
        if (!wanted)
            return unknown(place.name() + " has no proven snapshot " + snapshot +
                           "; see `regrow snapshots`");
        id = wanted->id;
    }
    driver_.handle(place.key, recovery::Requested{actor, id});
    if (!place.recovery)
        return fail(Code::refused, Source::client,
                    "the recovery of " + place.name() + " was not begun; see `regrow why`");
    return "recovery " + place.recovery->id + " of " + place.name() + " has begun";
}

Result<std::string> ControlPlane::actOnServer(const std::string& verb, PoolState& pool,
                                              const std::string& server, const std::string& actor) {
    if (!pool.server(server)) return unknown("pool " + pool.conf.name + " has no server " + server);
    if (registry_.filledBy(pool.conf.name, server))
        return fail(Code::refused, Source::client,
                    server + " fills a place of the pool; recover or drain that backend instead");
    const auto what =
        verb == "release" ? recovery::ServerChange::release : recovery::ServerChange::quarantine;
    REGROW_TRY(const auto record,
               recovery::change(registry_.serverRecord(pool, server), what, "", "by " + actor));
    REGROW_CHECK(journal_->server({pool.conf.name, server}, record));
    events_.add(pool.conf.name, "", "admin",
                server + " is now " + std::string(recovery::name(record.state)), {{"by", actor}});
    driver_.gateChanged();
    return server + " is now " + std::string(recovery::name(record.state));
}

Place* ControlPlane::byRecovery(const std::string& id) {
    for (auto& [name, pool] : registry_.pools())
        for (const auto& place : pool.places)
            if (place->recovery && place->recovery->id == id) return place.get();
    return nullptr;
}

Result<std::string> ControlPlane::approve(const std::string& recovery, const std::string& actor) {
    Place* const place = byRecovery(recovery);
    if (!place) return unknown("no recovery " + recovery + " is under way");
    REGROW_CHECK(recovery::mayApprove(*place->recovery));
    registry_.poolOf(*place).panic.overridden();
    driver_.handle(place->key, recovery::Approve{actor});
    return "recovery " + recovery + " is approved";
}

Result<std::string> ControlPlane::cancel(const std::string& recovery, const std::string& actor) {
    Place* const place = byRecovery(recovery);
    if (!place) return unknown("no recovery " + recovery + " is under way");
    REGROW_CHECK(recovery::mayCancel(*place->recovery));
    driver_.handle(place->key, recovery::Cancel{actor});
    return "recovery " + recovery + " is cancelled";
}

Result<std::string> ControlPlane::pause(bool paused, const std::string& actor) {
    REGROW_CHECK(journal_->pause(paused));
    events_.add("", "", "admin",
                paused ? "recoveries are paused: none passes its gate" : "recoveries go on",
                {{"by", actor}});
    driver_.gateChanged();
    return paused ? "recoveries are paused; traffic is still moved" : "recoveries go on";
}

}  // namespace regrow::control
