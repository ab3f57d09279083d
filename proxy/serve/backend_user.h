#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/proxy_protocol.h"
#include "proxy/serve/list.h"

namespace regrow::serve {

class BackendStream;
struct InHold;
struct InResume;
struct InHedgeable;

// Who needs a backend: an HTTP exchange, or a TCP session. It waits in a pool's hold queue while
// none accepts, has an upstream connection afterwards, and gives way after moving a lot. Worker's
// thread.
class BackendUser : public Link<InHold>, public Link<InResume>, public Link<InHedgeable> {
  public:
    BackendUser() = default;
    BackendUser(const BackendUser&) = delete;
    BackendUser& operator=(const BackendUser&) = delete;
    virtual ~BackendUser() = default;

    // From the stream to its backend.
    virtual void onConnected(BackendStream& from) = 0;
    virtual void onConnectFailed(BackendStream& from, int error) = 0;
    virtual void onUpstreamEvent(BackendStream& from, bool readable, bool writable) = 0;
    // It has been taken away: the server no longer fills its place.
    virtual void onFenced(BackendStream& from) = 0;
    // For a backend that is told by the PROXY protocol. False: the client's address is not known.
    virtual bool clientEnds(ClientEnds& ends) const = 0;

    // From the hold queue and the worker.
    virtual void onReleased() = 0;
    virtual void onResume() = 0;  // it gave way, and may go on

    // From the stall detector: what it waits for takes long, and it said that it may be asked for
    // elsewhere as well.
    virtual void onOverdue() {}
    Instant asked_at{};  // all of the request was sent then

    struct Wait {
        uint64_t number = 0;   // its place in the order of arrival; 0: it never waited
        Instant not_before{};  // pacing of tries against a backend that just failed
        Instant until{};       // given up then; set when it first waits
        Instant since{};
        Duration total{};
        bool counted = false;  // as released
        bool paid = false;     // the try under way, out of the retry budget
        bool owes = false;  // a backend took it and did not answer: to be paid for (hold_queue.h)
    };
    Wait wait;
};

}  // namespace regrow::serve
