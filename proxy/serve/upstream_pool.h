#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/balance/view.h"
#include "proxy/serve/free_list.h"
#include "proxy/serve/upstream_connection.h"

namespace regrow::serve {

class Worker;

// What this worker knows of a place and the server that fills it now.
struct Place {
    uint32_t slot = 0;
    uint64_t epoch = 0;
    Address address;
    std::string name;
    bool accepting = false;
    uint32_t failures_told = 0;  // of stats->failures: a success is news when there were more since
    int max_connections = 0;
    Duration idle_timeout{};
    std::shared_ptr<BackendStats> stats;
    BackendShard* shard = nullptr;  // ours
    List<UpstreamConnection, InPlace> connections;
    List<UpstreamConnection, InIdle> idle;  // most recently used in front
};

// All connections of one worker to backends. Idle ones are used again last in, first out, so that a
// quiet pool shrinks. A connection is keyed by (place, epoch): after a fence none of the old epoch
// exists, whatever it was doing.
class UpstreamPool {
  public:
    explicit UpstreamPool(Worker& worker) : worker_(worker) {}
    ~UpstreamPool();

    struct Acquired {
        UpstreamConnection* connection = nullptr;  // state busy (ready to send) or connecting
        int error = 0;                             // errno, when there is none
        bool fenced = false;  // the view is older than what we know of the place
    };
    // `fresh`: do not take an idle one.
    Acquired acquire(const BackendView& backend, Exchange& exchange, bool fresh);

    void keep(
        UpstreamConnection& connection);  // idle from now on; closes it when it may not be reused
    void discard(UpstreamConnection& connection);  // closes it; its exchange forgets it first
    void abort(
        UpstreamConnection& connection);  // the same, and nothing the kernel still holds is sent

    // Takes over what the view says of places. Connections to servers that no longer fill their
    // place are ended; their exchanges are told (Exchange::onFenced). Places that stopped accepting
    // lose their idle connections.
    void apply(const View& view);
    // Frees idle connections of limited places that another worker waits for.
    void yieldIdle(const PoolView& pool);
    Place* place(uint32_t slot) { return slot < places_.size() ? places_[slot].get() : nullptr; }
    void closeAll();
    void recycle(UpstreamConnection& connection) { connections_.giveBack(connection); }

  private:
    friend class UpstreamConnection;
    Place& placeOf(const BackendView& backend);
    void adopt(Place& place, const BackendView& backend, Duration idle_timeout);
    void fence(Place& place);
    void end(UpstreamConnection& connection);
    UpstreamConnection& reuse(Place& place, Exchange& exchange);
    void closeIdle(Place& place);

    Worker& worker_;
    std::vector<std::unique_ptr<Place>> places_;  // by slot
    FreeList<UpstreamConnection> connections_;
    std::vector<Exchange*> cut_off_;  // scratch of fence()
};

}  // namespace regrow::serve
