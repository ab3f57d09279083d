#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/tls/client_context.h"
#include "proxy/balance/view.h"
#include "proxy/serve/free_list.h"
#include "proxy/serve/h2_backend_session.h"
#include "proxy/serve/late_answer.h"
#include "proxy/serve/silence.h"
#include "proxy/serve/upstream_connection.h"

namespace regrow::serve {

class Worker;

// What this worker knows of a place and the server that fills it now.
struct Place {
    explicit Place(Worker& worker) : late_answer(worker) {}

    uint32_t slot = 0;
    uint64_t epoch = 0;
    Address address;
    std::string name;
    bool accepting = false;
    uint32_t failures_told = 0;  // of stats->failures: a success is news when there were more since
    int max_connections = 0;
    Duration idle_timeout{};
    conf::ProxyProtocol proxy_protocol = conf::ProxyProtocol::off;
    bool http2 = false;
    uint32_t moves = 0;                             // times that its address changed
    std::shared_ptr<const tls::ClientContext> tls;  // null: plain
    std::shared_ptr<BackendStats> stats;
    BackendShard* shard = nullptr;  // ours
    std::shared_ptr<PoolStats> pool_stats;
    PoolShard* pool_shard = nullptr;  // likewise

    // One more request is on it, one less.
    void started() const { shard->in_flight.add(), pool_shard->in_flight.add(); }
    void ended() const { shard->in_flight.sub(), pool_shard->in_flight.sub(); }
    Silence silence;
    LateAnswer late_answer;
    List<BackendUser, InHedgeable> hedgeable;  // in the order in which they were sent
    List<UpstreamConnection, InPlace> connections;
    List<UpstreamConnection, InIdle> idle;     // most recently used in front
    List<H2BackendSession, InPlace> sessions;  // with http2: over some of the connections
};

// All connections of one worker to backends. Idle ones are used again last in, first out, so that a
// quiet pool shrinks. A connection is keyed by (place, epoch): after a fence none of the old epoch
// exists, whatever it was doing.
class UpstreamPool {
  public:
    explicit UpstreamPool(Worker& worker) : worker_(worker) {}
    ~UpstreamPool();

    struct Acquired {
        BackendStream* stream = nullptr;           // ready to send, or connecting
        UpstreamConnection* connection = nullptr;  // that is it; null over HTTP/2
        bool connecting = false;
        int error = 0;        // errno, when there is none
        bool fenced = false;  // the view is older than what we know of the place
    };
    // `fresh`: do not take one that has served before.
    Acquired acquire(const BackendView& backend, BackendUser& user, bool fresh);

    void keep(
        UpstreamConnection& connection);  // idle from now on; closes it when it may not be reused
    void discard(UpstreamConnection& connection);  // closes it; its user forgets it first
    void abort(
        UpstreamConnection& connection);  // the same, and nothing the kernel still holds is sent

    // Takes over what the view says of places. Connections to servers that no longer fill their
    // place (its epoch rose) are ended; their users are told (BackendUser::onFenced). Places that
    // stopped accepting, moved or are gone lose their idle connections, and keep what is under way.
    void apply(const View& view);
    // Frees idle connections of limited places that another worker waits for.
    void yieldIdle(const PoolView& pool);
    // Closes an idle connection, the oldest of some place, to make room for another. False: there
    // is none.
    bool yieldOne();
    Place* place(uint32_t slot) { return slot < places_.size() ? places_[slot].get() : nullptr; }
    void closeAll();
    void recycle(UpstreamConnection& connection) { connections_.giveBack(connection); }

    // For its connections.
    BufferPool& buffers();
    http::ResponseHead& lendHead();  // cleared

  private:
    friend class UpstreamConnection;
    Place& placeOf(const BackendView& backend);
    void adopt(Place& place, const BackendView& backend, Duration idle_timeout);
    void fence(Place& place);
    void end(UpstreamConnection& connection);
    void moved(Place& place);
    int introduce(UpstreamConnection& connection);
    Acquired connect(Place& place, BackendUser& user);
    Acquired shareSession(Place& place, BackendUser& user, bool fresh);
    UpstreamConnection& reuse(Place& place, BackendUser& user);
    bool reusable(UpstreamConnection& connection) const;
    void closeIdle(Place& place);

    Worker& worker_;
    std::vector<std::unique_ptr<Place>> places_;  // by slot
    FreeList<UpstreamConnection> connections_;
    std::vector<std::pair<BackendUser*, BackendStream*>> cut_off_;  // scratch of fence()
};

}  // namespace regrow::serve
