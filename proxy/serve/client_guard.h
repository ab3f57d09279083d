#pragma once

#include <memory>

#include "base/address.h"
#include "conf/config.h"
#include "proxy/http/trust.h"
#include "proxy/net/client_table.h"

namespace regrow::serve {

// A listener's `accept`, as one worker applies it: whom it lets in, and how much it takes of one
// client. Built at each view; the table is the listener's, of all workers. Worker's thread.
class ClientGuard {
  public:
    ClientGuard(const conf::Accept& rules, std::shared_ptr<net::ClientTable> table);

    bool allows(const Address& client) const;
    bool countsConnections() const { return rules_.connections_per_ip > 0; }
    bool countsRequests() const { return rules_.concurrent_requests > 0; }
    bool limitsRate() const { return rules_.requests_per_second > 0; }
    bool namesNetworks() const { return !rules_.allow.empty() || !rules_.deny.empty(); }

    net::ClientTable::Entered connected(uint64_t client, Instant now);
    net::ClientTable::Entered began(uint64_t client, Instant now);
    // Zero: go on; else how long to wait.
    Duration ask(uint64_t client, Instant now);

  private:
    conf::Accept rules_;
    proxy::ProxyTrust allow_;
    proxy::ProxyTrust deny_;
    net::Gcra rate_;
    std::shared_ptr<net::ClientTable> table_;
};

}  // namespace regrow::serve
