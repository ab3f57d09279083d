#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/event_loop.h"
#include "base/tls/client_context.h"
#include "conf/config.h"
#include "health/checker.h"
#include "health/health_state.h"

namespace regrow::health {

// Asks with much more patience than a check whether anybody is there at all, before silence is
// taken for death: a check that times out after 300 ms, or that asks for the one page that hangs,
// cannot tell a dead server from a slow one.
//
// For all of `patience` it asks for two things on connections of their own: what the pool's HTTP
// check asks for, and `OPTIONS *`, which touches no page of the application. One byte of anything
// is an answer. What is refused or closed without a byte is asked again until the time is over (a
// port forwarder in front of a dead server accepts and closes). Calls back once, from the loop and
// never from within start(); destroying it ends it without a call. Control loop only.
class LifeProbe {
  public:
    // pass: something came; no_answer: nothing; not_run: our own trouble (out of descriptors).
    using Done = std::move_only_function<void(Outcome outcome, std::string text)>;

    LifeProbe(EventLoop& loop, const Address& address, const std::vector<conf::Check>& checks,
              Speech speech = {});
    ~LifeProbe();
    void start(Done done);
    Instant started() const { return started_; }

  private:
    class Attempt;
    void ask(size_t which);
    void attempted(size_t which, Outcome outcome);
    void expired();
    void finish(Outcome outcome, std::string text);

    EventLoop& loop_;
    Address address_;
    Speech speech_;
    std::vector<std::string> requests_;
    Duration patience_;
    std::vector<std::unique_ptr<Attempt>> attempts_;
    std::vector<Timer> again_;
    Timer over_;
    Instant started_{};
    bool hindered_ = false;
    Done done_;
};

// How long nothing must come: four times the longest timeout of a check, at least 2 s. Pure.
Duration lifePatience(const std::vector<conf::Check>& checks);

}  // namespace regrow::health
