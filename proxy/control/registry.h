#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "conf/config.h"
#include "health/health_state.h"
#include "proxy/balance/view.h"
#include "proxy/recovery/journal.h"
#include "proxy/recovery/panic.h"
#include "proxy/recovery/snapshot_info.h"
#include "proxy/recovery/supervisor.h"

namespace regrow::control {

// What control knows of one place (a backend of a pool) besides what the journal remembers. Lives
// as long as the configuration names the place; reload keeps it when the name stays. Control loop
// only.
struct Place {
    recovery::BackendKey key;
    conf::Backend conf;
    uint32_t slot = 0;
    std::shared_ptr<BackendStats> stats;

    health::HealthState health;
    WallTime health_since{};
    std::string health_reason;
    std::optional<recovery::RecoveryState>
        recovery;  // the active one; the journal's copy may lack its latest progress
    bool watching_replacement =
        false;              // checks go to recovery->spare, not to the server that fills the place
    bool starting = false;  // a start of its server is under way
    bool fenced = false;    // from the fence until the replacement is published
    Instant ramp_from{};    // slow start
    Duration ramp{};
    double release_per_second = 0;  // held requests, while a recovery warms it; 0 = at once

    std::vector<recovery::SnapshotInfo> snapshots;  // oldest first, as last listed
    size_t damaged_snapshots = 0;                   // of its repository: headers nobody can read
    std::optional<WallTime> last_captured;          // newest instant whose content is proven safe
    std::optional<WallTime> exited_at;              // of its server's last exit
    bool marked = false;                            // its data carries the lineage marker
    bool listed = false;                // `snapshots` was read from the repository at least once
    bool waits_for_repository = false;  // not started yet, for nobody can judge its data
    bool brought_up = false;            // its server was looked at, and started if that was right
    // A server that others run was away and its marker was not seen since: it may have come back
    // on an empty disk. No traffic until it was.
    bool data_in_doubt = false;

    std::string name() const { return key.pool + "/" + key.backend; }
};

struct PoolState {
    conf::Pool conf;
    uint32_t slot = 0;
    std::shared_ptr<PoolStats> stats;
    std::shared_ptr<const tls::ClientContext> tls;  // null: plain
    std::vector<std::unique_ptr<Place>> places;     // in the order of the file
    std::map<std::string, conf::Server>
        servers;  // all that may fill a place: first ones and spares
    recovery::Panic panic;
    std::shared_ptr<const KeyTable> keys;      // with balance: hash
    std::shared_ptr<const Affinity> affinity;  // with affinity

    // From now on the place gets its share little by little. With nobody to share the load with, a
    // ramp would only delay.
    void beginRamp(Place& place, Instant now) const;
    Place* find(const std::string& backend) const;
    const conf::Server* server(const std::string& name) const;
    bool isSpare(const std::string& server) const;
    // Something to replace a backend with, or to restart it by: else a death only moves traffic.
    bool recovers() const { return !conf.spares.empty() || conf.backup.on; }
};

struct ListenerState {
    conf::Listener conf;
    uint32_t slot = 0;  // WorkerPool's
    std::shared_ptr<const RouteTable> routes;
    std::shared_ptr<ListenerStats> stats;
    std::shared_ptr<const net::TlsServer> tls;  // null: plain
    std::shared_ptr<net::ClientTable> clients;  // of the address; null: `accept` was never on
};

// What a name was last found to be.
struct Resolved {
    Address address;    // the last good one; invalid: never found
    std::string error;  // of the last look-up
};

// The pools as they are now: configuration, places, servers. Plain data with look-ups; who changes
// what is said at the classes that do. One per process, made by ControlPlane, given to its parts by
// reference.
class Registry {
  public:
    Registry(recovery::Journal& journal, size_t workers) : journal_(journal), workers_(workers) {}

    // Takes a configuration: places and pools of the same name are kept with their slots, counters
    // and health; places it no longer has are removed and returned, in case something of theirs
    // must be ended.
    std::vector<std::unique_ptr<Place>> take(std::shared_ptr<const conf::Config> config);

    // A saved assignment holds. An edit of that server's definition is taken over; when the file
    // has no such server any more, the place falls to the first one named there, whose data is
    // looked at before it is started.
    void reassignEdited();

    const conf::Config& config() const { return *config_; }
    const LimitsView& limits() const { return limits_; }
    uint64_t generation() const { return generation_; }
    std::map<std::string, PoolState>& pools() { return pools_; }
    const std::map<std::string, PoolState>& pools() const { return pools_; }
    std::vector<ListenerState>& listeners() { return listeners_; }
    const std::vector<ListenerState>& listeners() const { return listeners_; }

    PoolState* pool(const std::string& name);
    PoolState& poolOf(const Place& place) { return pools_.at(place.key.pool); }
    const PoolState& poolOf(const Place& place) const { return pools_.at(place.key.pool); }
    Place* place(const recovery::BackendKey& key);
    Place* placeBySlot(uint32_t slot);
    // The place that `server` of `pool` fills now.
    Place* filledBy(const std::string& pool, const std::string& server);

    // What the journal says, or the file where it says nothing.
    recovery::Assignment assignment(const Place& place) const;
    recovery::BackendFlags flags(const Place& place) const;
    recovery::ServerRecord serverRecord(const PoolState& pool, const std::string& server) const;
    // The server that fills the place; null while it is fenced and nobody does.
    const conf::Server* filling(const Place& place) const;
    recovery::ServerSpec spec(const std::string& pool, const conf::Server& server) const;
    std::optional<std::string> repositoryOf(
        const PoolState& pool) const;  // name of the one that is read

    // Names that servers are reached by. An address that is set here shows wherever the server
    // does.
    std::set<std::string> lookups() const;
    Resolved resolved(const std::string& lookup) const;
    void setResolved(const std::string& lookup, const Resolved& resolved);

    recovery::Journal& journal() { return journal_; }
    const recovery::Journal& journal() const { return journal_; }
    size_t workers() const { return workers_; }

  private:
    PoolState takePool(const conf::Pool& pool, std::vector<std::unique_ptr<Place>>& removed);

    recovery::Journal& journal_;
    size_t workers_;
    std::shared_ptr<const conf::Config> config_;
    uint64_t generation_ = 0;
    uint32_t next_slot_ = 1;
    std::map<std::string, PoolState> pools_;
    std::vector<ListenerState> listeners_;
    std::map<std::string, Resolved> resolved_;  // by Server::lookup
    LimitsView limits_;
};

// Changes when, and only when, the operator edits what the server is: then the file wins over the
// saved assignment.
std::string configHash(const conf::Server& server);

}  // namespace regrow::control
