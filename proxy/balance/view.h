#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "conf/config.h"
#include "proxy/balance/stats.h"

// The immutable picture of listeners and pools that workers read. Control builds a new one for
// every change and posts it to each worker, which swaps a plain pointer between two requests; an
// exchange under way keeps the pool it started with alive through the view it holds. One object, so
// that membership and health can never disagree (Pingora publishes two and documents the race).
namespace regrow {

class Router;  // proxy/balance/router.h

struct BackendView {
    uint32_t slot =
        0;  // the place's number: stable and unique for the life of the process, across reloads
    std::string name;
    Address address;
    uint64_t epoch = 0;  // of the server that fills the place; connections belong to (slot, epoch)
    bool accepting = false;  // new requests may go to it
    int weight = 1;
    int max_connections = 0;
    Instant ramp_from{};  // slow start: full weight at ramp_from + ramp
    Duration ramp{};
    std::shared_ptr<BackendStats> stats;
};

struct PoolView {
    uint32_t slot = 0;  // stable and unique, as above
    std::string name;
    conf::Balance balance = conf::Balance::least_requests;
    conf::Retry retry;
    conf::PoolTimeouts timeouts;
    conf::Hold hold;
    double release_per_second = 0;  // held requests sent on, over all workers; 0 = all at once
    std::vector<BackendView> backends;
    std::shared_ptr<PoolStats> stats;
};

struct ListenerView {
    uint32_t slot = 0;  // which of WorkerPool's listeners
    conf::ListenerTimeouts timeouts;
    std::vector<std::string> trusted_proxies;
    std::shared_ptr<const Router> router;  // answers an index into View::pools
    std::shared_ptr<ListenerStats> stats;
};

struct View {
    uint64_t generation = 0;  // of the configuration
    std::vector<PoolView> pools;
    std::vector<ListenerView> listeners;
};

}  // namespace regrow
