#pragma once

#include "base/http/parser.h"
#include "proxy/serve/backend_stream.h"
#include "proxy/serve/deadline_wheel.h"
#include "proxy/serve/endpoint.h"
#include "proxy/serve/list.h"

namespace regrow::serve {

class UpstreamPool;
struct InPlace;
struct InIdle;

// One connection to the server that filled a place at `epoch`: connecting for somebody, serving
// him (in HTTP/1, or with bytes as they are), or idle. It belongs to (place, epoch) for life and to
// one user at a time. Worker's thread; recycled by the UpstreamPool.
class UpstreamConnection final : public Endpoint,
                                 public BackendStream,
                                 public Link<InPlace>,
                                 public Link<InIdle> {
  public:
    enum class State : uint8_t { closed, connecting, busy, idle };

    explicit UpstreamConnection(UpstreamPool& pool)
        : BackendStream(Endpoint::in),
          idle_deadline([](void* self) { static_cast<UpstreamConnection*>(self)->onIdleTooLong(); },
                        this),
          pool_(pool) {}

    static void onEvent(evutil_socket_t, short what, void* self) {
        static_cast<UpstreamConnection*>(self)->onEvents(what);
    }

    net::IoResult send(std::string_view bytes) override;
    void endSending() override { transport.shutdownSend(); }
    Answer readHead(http::ResponseHead*& head) override;
    bool framed() const override { return true; }
    Filled fill() override;
    void lookAgain() override { Endpoint::lookAgain(); }
    void releaseInput() override;
    void readBulk(bool on) override { Endpoint::readBulk(on); }
    bool takesBulk() const override { return !transport.secured(); }
    bool closedMeanwhile() override {
        return answered > 0 && transport.peek().kind != net::IoResult::Kind::would_block;
    }
    void finish(bool whole) override;

    State state = State::closed;
    bool introduced = false;  // the PROXY header is out, if there is one
    uint32_t moves = 0;       // Place::moves when it was made
    uint64_t answered = 0;    // exchanges it has completed; above 0 it is a reused one
    http::ResponseParser parser;
    http::ResponseHead* head = nullptr;  // lent while a head is being read
    bool heard = false;                  // a head of the answer, if only an interim one
    Deadline idle_deadline;

    bool quiet();

  private:
    void onEvents(short what);
    void onConnectDone();
    bool shaken();
    void onIdleTooLong();
    Answer broken(std::string_view why);
    Answer closedEarly();

    UpstreamPool& pool_;
};

}  // namespace regrow::serve
