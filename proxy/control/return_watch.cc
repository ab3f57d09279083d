#include "proxy/control/return_watch.h"

namespace regrow::control {

const conf::Server* ReturnWatch::returned(const Place& place) const {
    if (!place.recovery || !recovery::mayBeReinstated(*place.recovery) || !health_.provenUp(place))
        return nullptr;
    const auto& pool = registry_.poolOf(place);
    const auto* const server = pool.server(place.recovery->old_server);
    if (!server || server->service.supervised()) return nullptr;
    const auto state = registry_.serverRecord(pool, server->name).state;
    return state == recovery::ServerState::quarantined ? nullptr : server;
}

void ReturnWatch::look(Place& place) {
    const auto* const server = returned(place);
    if (!server || inspections_.contains(place.key)) return;
    if (server->data.empty() || !registry_.poolOf(place).conf.backup.on)
        return driver_.handle(place.key,
                              recovery::OldReturned{true, true, "its checks are good again"});
    inspections_[place.key] =
        steps_.inspect({server->data, place.name()},
                       [this, key = place.key](const Result<recovery::InspectResult>& seen) {
                           const auto handle = std::move(inspections_[key]);
                           inspections_.erase(key);
                           inspected(key, seen);
                       });
}

void ReturnWatch::lookAll() {
    for (const auto& [name, pool] : registry_.pools())
        for (const auto& place : pool.places) look(*place);
}

// Its data is looked at, not believed: another disk, or a wiped one, has no marker of that epoch.
void ReturnWatch::inspected(const recovery::BackendKey& key,
                            const Result<recovery::InspectResult>& seen) {
    Place* const place = registry_.place(key);
    if (!place || !returned(*place)) return;
    const bool intact = seen && seen->backend == place->name() &&
                        seen->lineage == registry_.assignment(*place).lineage &&
                        seen->epoch == place->recovery->old_epoch;
    const std::string text = intact  ? "its checks are good again and its data is marked as it was"
                             : !seen ? "its data cannot be looked at: " + seen.error().message
                                     : "its data does not carry the marker it had";
    driver_.handle(key, recovery::OldReturned{true, intact, text});
}

}  // namespace regrow::control
