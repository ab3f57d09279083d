#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/event_loop.h"
#include "base/random.h"
#include "conf/config.h"
#include "health/checker.h"

namespace regrow::health {

struct CheckTarget {
    std::string key;  // unique: pool/backend, or pool/server for one that fills no place
    Address address;
    std::vector<conf::Check> checks;  // each runs on its own and reports on its own
    Speech speech = {};
};

// When which server is asked. Every check of every target has a lane of its own: lanes run in
// parallel, so that a server that hangs delays nobody, and a lane never has two probes out. From
// start to start it takes `every` give or take a tenth, after a random beginning, so that many
// checks neither march in step nor burst at start. A fast lane goes at a tenth of that, at most
// every 100 ms.
//
// A result belongs to the target as it was when the probe started: removing, or giving another
// address or other checks, ends the probes under way and nothing of them is reported. Control loop
// only; must not be destroyed by its own callback, which may do anything else here.
class CheckScheduler {
  public:
    using OnResult =
        std::move_only_function<void(const std::string& key, const CheckResult& result)>;

    CheckScheduler(EventLoop& loop, Random random, OnResult on_result);
    ~CheckScheduler();
    CheckScheduler(const CheckScheduler&) = delete;
    CheckScheduler& operator=(const CheckScheduler&) = delete;

    // Adds or replaces. An unchanged target keeps its lanes as they run.
    void setTarget(const CheckTarget& target);
    void removeTarget(const std::string& key);
    // All checks of the target start now, or as soon as the one under way has ended; never more
    // often than every 20 ms.
    void checkNow(const std::string& key);
    void setFast(const std::string& key, bool fast);
    size_t size() const { return targets_.size(); }

  private:
    struct Lane;
    struct Entry;

    void begin(Lane& lane);
    void ended(Lane& lane, CheckResult result);
    void schedule(Lane& lane, Instant at);
    Instant next(const Lane& lane);
    Duration jittered(Duration interval);

    EventLoop& loop_;
    Random random_;
    OnResult on_result_;
    std::map<std::string, std::unique_ptr<Entry>> targets_;
};

// The interval of a fast lane: enough to know soon, not enough to hurt a server that is starting.
// Pure.
Duration fastInterval(Duration every);

}  // namespace regrow::health
