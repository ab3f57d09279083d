#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/event_loop.h"

namespace regrow {

// Looks names up with the system's resolver (getaddrinfo: /etc/hosts, DNS, whatever nsswitch says),
// which blocks, sometimes for half a minute: so on a few threads of its own, and never on the loop,
// where the answers arrive. A DNS library of our own would see less than the rest of the machine
// does. Nobody waits for the threads: one that is stuck when the resolver goes finds nobody to
// tell.
class Resolver {
  public:
    // In the system's order of preference (RFC 6724), without repetitions.
    using Done = std::function<void(Result<std::vector<Address>>)>;

    explicit Resolver(EventLoop& loop);
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    // "app.internal:8080". Calls back once, on the loop, unless the resolver is gone by then.
    void resolve(const std::string& name_and_port, Done done);

  private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
    std::shared_ptr<void> alive_ = std::make_shared<bool>(true);
    int threads_ = 0;
};

// The blocking call itself.
Result<std::vector<Address>> lookUp(const std::string& name_and_port);

// Stays with the address in use while the name still has it. Pure.
const Address& chooseAddress(const std::vector<Address>& found, const Address& current);

}  // namespace regrow
