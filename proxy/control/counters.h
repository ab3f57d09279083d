#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "proxy/control/registry.h"

namespace regrow::control {

// Totals that survive the process: what earlier runs counted, to be added to what this one's shards
// say. Written to state_dir/counters.json every few seconds, so a kill -9 loses at most that much.
// Control loop only.
class Counters {
  public:
    using Totals = std::map<std::string, uint64_t>;

    // An absent file is a first start; one that cannot be understood is reported and begun anew:
    // counts are not state.
    static Counters load(const std::string& path);
    Result<> save(const Registry& registry);

    Totals backend(const Place& place) const;
    Totals pool(const PoolState& pool) const;
    Totals listener(const ListenerState& listener) const;
    // Recoveries that ended, by result. The journal keeps the newest of them: what it adds to those
    // counted before is told by the id of the last one counted.
    Totals recoveries(const Registry& registry, const std::string& pool) const;

  private:
    struct Ended {
        Totals results;
        std::string last;
    };
    Totals withEarlier(const std::string& key, Totals now) const;

    std::string path_;
    std::map<std::string, Totals>
        earlier_;                         // by "backend pool/name", "pool name", "listener address"
    std::map<std::string, Ended> ended_;  // by pool
};

}  // namespace regrow::control
