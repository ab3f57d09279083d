#include "proxy/balance/balancer.h"

#include "proxy/balance/key_hash.h"
#include "proxy/balance/least_requests.h"
#include "proxy/balance/peak_ewma.h"
#include "proxy/balance/random_two.h"
#include "proxy/balance/round_robin.h"

namespace regrow {

std::unique_ptr<Balancer> makeBalancer(conf::Balance kind, uint32_t rotation) {
    switch (kind) {
        case conf::Balance::round_robin: return std::make_unique<RoundRobin>(rotation);
        case conf::Balance::random_two: return std::make_unique<RandomTwo>(rotation);
        case conf::Balance::ewma: return std::make_unique<PeakEwma>(rotation);
        case conf::Balance::hash: return std::make_unique<KeyHash>(rotation);
        case conf::Balance::least_requests: break;
    }
    return std::make_unique<LeastRequests>(rotation);
}

uint64_t inFlight(const BackendView& backend) {
    return backend.stats->sum(&BackendShard::in_flight);
}

bool hasRoom(const BackendView& backend) {
    return backend.max_connections <= 0 ||
           inFlight(backend) < static_cast<uint64_t>(backend.max_connections);
}

}  // namespace regrow
