#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "conf/config.h"
#include "proxy/balance/affinity.h"
#include "proxy/balance/key_table.h"
#include "proxy/balance/stats.h"

// The immutable picture of listeners and pools that workers read. Control builds a new one for
// every change and posts it to each worker, which swaps a plain pointer between two requests; an
// exchange under way keeps the pool it started with alive through the view it holds. One object, so
// that membership and health can never disagree (Pingora publishes two and documents the race).
namespace regrow {

struct RouteTable;  // proxy/balance/route_table.h

struct BackendView {
    uint32_t slot =
        0;  // the place's number: stable and unique for the life of the process, across reloads
    std::string name;
    Address address;
    uint64_t epoch = 0;  // of the server that fills the place; connections belong to (slot, epoch)
    bool accepting = false;  // new requests may go to it
    int weight = 1;
    int max_connections = 0;
    int priority = 0;     // higher ones get requests only when no lower one accepts
    Instant ramp_from{};  // slow start: full weight at ramp_from + ramp
    Duration ramp{};
    std::shared_ptr<BackendStats> stats;
};

namespace tls {
class ClientContext;  // base/tls/client_context.h
}
namespace net {
class ClientTable;  // proxy/net/client_table.h
class TlsServer;    // proxy/net/tls_server.h
}  // namespace net

struct PoolView {
    uint32_t slot = 0;  // stable and unique, as above
    std::string name;
    conf::Balance balance = conf::Balance::least_requests;
    conf::HashKey hash;                        // with balance: hash
    std::shared_ptr<const KeyTable> keys;      // likewise: of all backends, whatever their health
    std::shared_ptr<const Affinity> affinity;  // nullptr: off
    conf::Retry retry;
    conf::PoolTimeouts timeouts;
    conf::Hold hold;
    conf::Compression compress;
    double release_per_second = 0;  // held requests sent on, over all workers; 0 = all at once
    std::shared_ptr<const tls::ClientContext> tls;                  // null: plain
    conf::ProxyProtocol proxy_protocol = conf::ProxyProtocol::off;  // what connections begin with
    bool http2 = false;                                             // what backends speak
    std::vector<BackendView> backends;
    std::shared_ptr<PoolStats> stats;
};

struct ListenerView {
    uint32_t slot = 0;  // which of WorkerPool's listeners
    conf::ListenerTimeouts timeouts;
    conf::ListenerMode mode = conf::ListenerMode::http;
    uint32_t pool = 0;  // with tcp: an index into View::pools
    conf::ProxyProtocol proxy_protocol = conf::ProxyProtocol::off;
    bool h2c = false;
    std::vector<std::string> trusted_proxies;
    conf::Accept accept;
    std::shared_ptr<net::ClientTable> clients;  // of the address, over all views; null: none yet
    std::shared_ptr<const net::TlsServer> tls;  // null: plain
    std::shared_ptr<const RouteTable> routes;
    std::shared_ptr<ListenerStats> stats;
};

// Of the whole process, as control worked them out.
struct LimitsView {
    int64_t connections = INT64_MAX;  // of clients
    int64_t upstreams = INT64_MAX;    // connections to backends
    size_t memory = 0;                // bytes lent to what is under way; 0: no limit
};

struct View {
    LimitsView limits;
    uint64_t generation = 0;  // of the configuration
    std::vector<PoolView> pools;
    std::vector<ListenerView> listeners;
};

}  // namespace regrow
