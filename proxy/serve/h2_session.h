#pragma once

#include <nghttp2/nghttp2.h>

#include "proxy/http/http2_request.h"
#include "proxy/serve/client_connection.h"
#include "proxy/serve/client_session.h"
#include "proxy/serve/h2_connection.h"
#include "proxy/serve/h2_stream.h"

namespace regrow::serve {

// One client connection speaking HTTP/2 (h2_connection.h): feeds nghttp2 what arrives, starts an
// exchange for each request, and bounds what the protocol lets a client ask for without asking for
// anything: resets, pings, settings, empty frames. Worker's thread; recycled.
class H2Session final : public Endpoint, public ClientConnection, public H2Connection {
  public:
    explicit H2Session(Worker& worker)
        : H2Connection(worker),
          deadline_([](void* self) { static_cast<H2Session*>(self)->onDeadline(); }, this) {}

    // Takes the connection over, with what was read of it.
    void open(ClientSession& from);

    void end() override;
    void closeWhenIdle() override;
    uint32_t listenerSlot() const override { return listener_slot_; }
    void recycle() override;
    void flush() override;

    // For its streams.
    const proxy::ClientIdentity& identity() const { return identity_; }
    bool ends(ClientEnds& ends) const {
        ends = ends_;
        return ends_known_;
    }
    const conf::ListenerTimeouts& timeouts() const;
    bool blocked() const { return !out_.empty(); }  // the client's socket takes no more now

  private:
    static constexpr double kMostCredit = 1000;
    enum class State : uint8_t { closed, open, lingering };

    static void onEvent(evutil_socket_t, short what, void* self) {
        static_cast<H2Session*>(self)->onEvents(what);
    }
    void onEvents(short what);
    void onDeadline();
    void receive();
    bool feed();
    net::IoResult transmit(std::string_view bytes) override;
    void settle();
    void superviseTime();
    void close();
    void linger();
    void discardInput();
    void terminate(uint32_t code);

    // From nghttp2.
    void onBeginHeaders(const nghttp2_frame& frame) override;
    void onHeader(const nghttp2_frame& frame, std::string_view name,
                  std::string_view value) override;
    void onFrame(const nghttp2_frame& frame) override;
    void onStreamClosed(int32_t id, uint32_t error) override;
    void onFrameSent(const nghttp2_frame& frame) override;
    void onFrameNotSent(const nghttp2_frame& frame) override;
    void onHeaders(const nghttp2_frame& frame);
    void forgetHead();
    void startRequest(H2Stream& stream, bool ended);
    H2Stream* stream(int32_t id) const;
    void charge(double frames);

    Deadline deadline_;
    proxy::ClientIdentity identity_;
    ClientEnds ends_;
    List<H2Stream, InSession> streams_;
    Buffer head_memory_;  // of the one header block under way
    http::RequestHead* head_ = nullptr;
    proxy::Http2Request request_;
    uint32_t listener_slot_ = 0;
    uint32_t discarded_ = 0;
    double credit_ = kMostCredit;  // frames that ask for nothing (see charge)
    Instant credit_at_{};
    enum class Timed : uint8_t { nothing, head, idle, output, leaving };
    Timed timed_ = Timed::nothing;  // what the deadline is for
    uint32_t queued_ = 0;           // for the client when it took no more
    State state_ = State::closed;
    int32_t in_head_ = 0;  // the stream whose header block is under way
    bool first_ = true;    // no request yet
    bool ends_known_ = false;
    bool leaving_ = false;  // the client was told to go elsewhere with what is new
    bool left_ = false;     // and by now knows: nothing begins any more
};

}  // namespace regrow::serve
