#include "proxy/control/registry.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "proxy/control/limits.h"
#include "proxy/control/pool_keys.h"

namespace regrow::control {
namespace {

void addPart(std::string& text, std::string_view part) {
    text += std::to_string(part.size());
    text += ':';
    text += part;
}

void addArgv(std::string& text, const conf::Argv& argv) {
    addPart(text, std::to_string(argv.size()));
    for (const auto& word : argv) addPart(text, word);
}

}  // namespace

std::string configHash(const conf::Server& server) {
    std::string text;
    for (const auto& part :
         {server.name, server.lookup.empty() ? server.address.text() : server.lookup, server.data,
          server.service.user, server.service.directory})
        addPart(text, part);
    for (const auto& argv : {server.service.run, server.service.start, server.service.stop,
                             server.service.status, server.service.environment})
        addArgv(text, argv);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_Digest(text.data(), text.size(), digest, &length, EVP_sha256(), nullptr);
    return toHex({reinterpret_cast<const char*>(digest), 16});
}

void PoolState::beginRamp(Place& place, Instant now) const {
    place.ramp_from = now;
    place.ramp = places.size() > 1 ? conf.slow_start : Duration{};
}

Place* PoolState::find(const std::string& backend) const {
    for (const auto& place : places)
        if (place->key.backend == backend) return place.get();
    return nullptr;
}

const conf::Server* PoolState::server(const std::string& name) const {
    const auto it = servers.find(name);
    return it == servers.end() ? nullptr : &it->second;
}

bool PoolState::isSpare(const std::string& server) const {
    return std::ranges::any_of(conf.spares,
                               [&](const auto& spare) { return spare.name == server; });
}

std::vector<std::unique_ptr<Place>> Registry::take(std::shared_ptr<const conf::Config> config) {
    std::vector<std::unique_ptr<Place>> removed;
    std::map<std::string, PoolState> fresh;
    for (const auto& [name, pool] : config->pools) {
        const auto old = pools_.find(name);
        auto state = takePool(pool, removed);
        buildKeys(state, old == pools_.end() ? nullptr : &old->second, config->state_dir);
        fresh.emplace(name, std::move(state));
    }
    for (auto& [name, pool] : pools_)
        for (auto& place : pool.places)
            if (place) removed.push_back(std::move(place));
    pools_ = std::move(fresh);
    const auto known = resolved_;
    for (const auto& [name, resolved] : known) setResolved(name, resolved);
    limits_ = limitsView(*config, Machine::own());
    config_ = std::move(config);
    ++generation_;
    return removed;
}

std::set<std::string> Registry::lookups() const {
    std::set<std::string> names;
    for (const auto& [name, pool] : pools_)
        for (const auto& [server_name, server] : pool.servers)
            if (!server.lookup.empty()) names.insert(server.lookup);
    return names;
}

Resolved Registry::resolved(const std::string& lookup) const {
    const auto it = resolved_.find(lookup);
    return it == resolved_.end() ? Resolved{} : it->second;
}

void Registry::setResolved(const std::string& lookup, const Resolved& resolved) {
    resolved_[lookup] = resolved;
    for (auto& [name, pool] : pools_) {
        for (auto& [server_name, server] : pool.servers)
            if (server.lookup == lookup) server.address = resolved.address;
        for (const auto& place : pool.places)
            if (place->conf.server.lookup == lookup) place->conf.server.address = resolved.address;
    }
}

void Registry::reassignEdited() {
    for (auto& [name, pool] : pools_)
        for (const auto& place : pool.places) {
            const auto saved = journal_.saved().assignments.find(place->key);
            if (place->recovery || saved == journal_.saved().assignments.end() ||
                saved->second.server.empty())
                continue;
            const auto* const server = pool.server(saved->second.server);
            if (server && configHash(*server) == saved->second.config_hash) continue;
            auto edited = saved->second;
            if (!server) edited.server = place->conf.server.name;
            edited.config_hash = configHash(server ? *server : place->conf.server);
            if (const auto written = journal_.assign(place->key, edited); !written)
                log::error("assignment " + place->name(), "{}", written.error().message);
        }
}

PoolState Registry::takePool(const conf::Pool& pool, std::vector<std::unique_ptr<Place>>& removed) {
    PoolState state;
    const auto old = pools_.find(pool.name);
    const bool known = old != pools_.end();
    state.conf = pool;
    state.slot = known ? old->second.slot : next_slot_++;
    state.stats = known ? old->second.stats : std::make_shared<PoolStats>(workers_);
    if (known) state.panic = old->second.panic;
    for (const auto& backend : pool.backends) {
        std::unique_ptr<Place> place;
        if (known)
            for (auto& candidate : old->second.places)
                if (candidate && candidate->key.backend == backend.name)
                    place = std::move(candidate);
        if (!place) {
            place = std::make_unique<Place>();
            place->key = {pool.name, backend.name};
            place->slot = next_slot_++;
            place->stats = std::make_shared<BackendStats>(workers_);
        }
        place->conf = backend;
        state.servers[backend.server.name] = backend.server;
        state.places.push_back(std::move(place));
    }
    for (const auto& spare : pool.spares) state.servers[spare.name] = spare;
    if (known)
        for (auto& place : old->second.places)
            if (place) removed.push_back(std::move(place));
    return state;
}

PoolState* Registry::pool(const std::string& name) {
    const auto it = pools_.find(name);
    return it == pools_.end() ? nullptr : &it->second;
}

Place* Registry::place(const recovery::BackendKey& key) {
    auto* const found = pool(key.pool);
    return found ? found->find(key.backend) : nullptr;
}

Place* Registry::placeBySlot(uint32_t slot) {
    for (auto& [name, pool] : pools_)
        for (const auto& place : pool.places)
            if (place->slot == slot) return place.get();
    return nullptr;
}

Place* Registry::filledBy(const std::string& pool_name, const std::string& server) {
    auto* const found = pool(pool_name);
    if (!found) return nullptr;
    for (const auto& place : found->places)
        if (assignment(*place).server == server) return place.get();
    return nullptr;
}

recovery::Assignment Registry::assignment(const Place& place) const {
    const auto& saved = journal_.saved().assignments;
    const auto it = saved.find(place.key);
    if (it == saved.end())
        return {.server = place.conf.server.name,
                .epoch = 1,
                .lineage = "",
                .config_hash = configHash(place.conf.server)};
    return it->second;
}

recovery::BackendFlags Registry::flags(const Place& place) const {
    const auto& saved = journal_.saved().flags;
    const auto it = saved.find(place.key);
    return it == saved.end() ? recovery::BackendFlags{} : it->second;
}

recovery::ServerRecord Registry::serverRecord(const PoolState& pool,
                                              const std::string& server) const {
    const auto& saved = journal_.saved().servers;
    const auto it = saved.find({pool.conf.name, server});
    const bool known = it != saved.end();
    if (known && it->second.state != recovery::ServerState::free) return it->second;
    for (const auto& place : pool.places)
        if (assignment(*place).server == server) return {recovery::ServerState::in_use, "", ""};
    // One that filled a place and was cut off is no spare, least of all for its own recovery: what
    // is on its disk may exist nowhere else. Only a release makes it free.
    if (!known && pool.server(server) && !pool.isSpare(server))
        return {recovery::ServerState::quarantined, "it filled a place before; its data is kept",
                ""};
    return {};
}

const conf::Server* Registry::filling(const Place& place) const {
    return poolOf(place).server(assignment(place).server);
}

recovery::ServerSpec Registry::spec(const std::string& pool, const conf::Server& server) const {
    return {pool + "/" + server.name, server.address, server.data, server.service};
}

std::optional<std::string> Registry::repositoryOf(const PoolState& pool) const {
    if (!pool.conf.backup.on || pool.conf.backup.repositories.empty()) return std::nullopt;
    return pool.conf.backup.repositories.front();
}

}  // namespace regrow::control
