#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/address.h"
#include "base/event_loop.h"
#include "base/tls/client_context.h"
#include "conf/config.h"
#include "health/health_state.h"

namespace regrow::health {

struct CheckResult {
    size_t check = 0;  // which of the target's checks; set by the scheduler
    Outcome outcome = Outcome::pass;
    std::string text;  // "HTTP 200", "connection refused", "timeout after 500ms (no byte)"
    Duration took{};
};

// One probe of one server: started, it calls back exactly once, from the loop and never from within
// start(), at the latest when its timeout has passed. Destroying it before then ends it without a
// call; the callback may destroy it. Control loop only. Implementations: TcpChecker, HttpChecker,
// Http2Checker, CommandChecker; tests/health/checker_test.cc holds all of them to this.
class Checker {
  public:
    using Done = std::move_only_function<void(CheckResult)>;

    Checker() = default;
    Checker(const Checker&) = delete;
    Checker& operator=(const Checker&) = delete;
    virtual ~Checker() = default;
    virtual void start(Done done) = 0;
};

// How a pool speaks to its servers, and so its checks do.
struct Speech {
    std::shared_ptr<const tls::ClientContext> tls = nullptr;        // null: plain
    conf::ProxyProtocol proxy_protocol = conf::ProxyProtocol::off;  // what a connection begins with
    bool http2 = false;                                             // for HTTP checks
    friend bool operator==(const Speech&, const Speech&) = default;
};

std::unique_ptr<Checker> makeChecker(EventLoop& loop, const Address& address,
                                     const conf::Check& check, Speech speech = {});

}  // namespace regrow::health
