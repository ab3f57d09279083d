#include "proxy/control/pool_keys.h"

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"

namespace regrow::control {
namespace {

constexpr size_t kKeyBytes = 32;

bool sameOwners(const conf::Pool& a, const conf::Pool& b) {
    return std::ranges::equal(a.backends, b.backends, [](const auto& x, const auto& y) {
        return x.name == y.name && x.weight == y.weight;
    });
}

std::shared_ptr<const KeyTable> tableOf(const conf::Pool& pool) {
    std::vector<KeyTable::Owner> owners;
    owners.reserve(pool.backends.size());
    for (const auto& backend : pool.backends) owners.push_back({backend.name, backend.weight});
    return std::make_shared<const KeyTable>(owners);
}

std::shared_ptr<const Affinity> affinityOf(const PoolState& pool, const std::string& state_dir) {
    std::vector<Affinity::Backend> backends;
    backends.reserve(pool.places.size());
    for (const auto& place : pool.places) backends.push_back({place->key.backend, place->slot});
    return std::make_shared<const Affinity>(pool.conf.affinity_cookie, affinityKey(state_dir),
                                            pool.conf.name, backends);
}

}  // namespace

std::string affinityKey(const std::string& state_dir) {
    const std::string path = state_dir + "/affinity.key";
    const auto kept = readFile(path);
    if (kept && kept->size() >= 2 * kKeyBytes) return *kept;
    const std::string key = toHex(secureRandomBytes(kKeyBytes));
    if (const auto written = writeFileAtomic(path, key); !written)
        log::warn("affinity", "{}; clients lose their backends at the next restart",
                  written.error().message);
    return key;
}

void buildKeys(PoolState& pool, const PoolState* old, const std::string& state_dir) {
    if (pool.conf.balance == conf::Balance::hash) {
        const bool same = old && old->keys && sameOwners(old->conf, pool.conf);
        pool.keys = same ? old->keys : tableOf(pool.conf);
    }
    if (!pool.conf.affinity_cookie.empty()) pool.affinity = affinityOf(pool, state_dir);
}

}  // namespace regrow::control
