#pragma once

#include <cstdint>

#include "conf/config.h"

namespace regrow::serve {

// What ended an attempt before anything of its response had been forwarded.
enum class Trouble : uint8_t {
    connect_failed,  // refused, unreachable, no connection in time
    stale,           // a kept-alive connection turned out closed before any byte of the answer
    reset,           // closed or reset with an answer owed
    no_first_byte,   // the deadline passed
    refused,         // it said that it did not begin with it (HTTP/2's REFUSED_STREAM)
    bad_answer,      // not HTTP as we accept it
    status,          // an answer whose status may be retried
    fenced,          // the server was replaced under it
};

struct Attempt {
    Trouble trouble = Trouble::reset;
    bool sent = true;  // the kernel took bytes of the request: the server may have acted on them
    bool idempotent = false;
    bool replayable = false;       // all that was received of the request is still here
    bool untried_backend = false;  // one that accepts and was not tried for this request
    bool hold = false;             // the pool holds requests
    bool budget = false;           // the retry budget would pay for one more
    bool failing = false;          // the last that was sent again failed too, whatever it was
    int sends = 1;                 // attempts that sent bytes, this one included
    uint16_t status = 0;           // for `status`
};

enum class Verdict : uint8_t {
    same_again,  // the same backend, over a fresh connection
    elsewhere,   // a backend not tried yet
    wait,        // in the hold queue, for a backend that accepts
    answer,      // the client gets an error, or the backend's own answer
};

// The one place that decides whether a request is sent again. Pure.
//
// - Never sent: any method, any backend, outside the budget: nothing can have happened, and a
//   refusal costs nothing.
// - Sent: only idempotent methods, at most `attempts` times, within the budget, which stops storms.
// - Sent, and the backend says that it did not begin with it: any method, any backend; within the
//   budget when the others are failing too.
// - Sent to the only backend: it waits, unless that is known to fail. It may be the backend's
//   death, whose return is worth waiting for; the hold queue pays for the next try, or sees that it
//   need not be paid for (hold_queue.h). A request that was sent kHeldSends times gives up: it may
//   be what kills the server.
// - Stale connection: not a failure, not an attempt.
Verdict decide(const conf::Retry& rules, const Attempt& attempt);
// Whether acting on the verdict takes from the budget at once.
bool charged(const Attempt& attempt, Verdict verdict);

inline constexpr int kHeldSends = 3;

}  // namespace regrow::serve
