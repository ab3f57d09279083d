#pragma once

#include "base/http/parser.h"
#include "proxy/serve/deadline_wheel.h"
#include "proxy/serve/endpoint.h"
#include "proxy/serve/list.h"

namespace regrow::serve {

class Exchange;
class UpstreamPool;
struct Place;
struct InPlace;
struct InIdle;

// One connection to the server that filled a place at `epoch`: connecting for an exchange, serving
// one, or idle. It belongs to (place, epoch) for life and to one exchange at a time. Worker's
// thread; recycled by the UpstreamPool.
class UpstreamConnection : public Endpoint, public Link<InPlace>, public Link<InIdle> {
  public:
    enum class State : uint8_t { closed, connecting, busy, idle };

    explicit UpstreamConnection(UpstreamPool& pool)
        : idle_deadline([](void* self) { static_cast<UpstreamConnection*>(self)->onIdleTooLong(); },
                        this),
          pool_(pool) {}

    static void onEvent(evutil_socket_t, short what, void* self) {
        static_cast<UpstreamConnection*>(self)->onEvents(what);
    }

    State state = State::closed;
    Place* place = nullptr;
    uint64_t epoch = 0;
    uint64_t answered = 0;  // exchanges it has completed; above 0 it is a reused one
    Exchange* exchange = nullptr;
    http::ResponseParser parser;
    http::ResponseHead* head = nullptr;  // lent while a head is being read
    Deadline idle_deadline;

  private:
    void onEvents(short what);
    void onConnectDone();
    void onIdleTooLong();

    UpstreamPool& pool_;
};

}  // namespace regrow::serve
