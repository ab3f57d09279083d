#pragma once

#include <nghttp2/nghttp2.h>

#include "proxy/http/http2_request.h"
#include "proxy/serve/client_connection.h"
#include "proxy/serve/client_session.h"
#include "proxy/serve/h2_stream.h"

namespace regrow::serve {

struct InFlush;

// What every HTTP/2 session of a worker starts from. nghttp2 copies both.
class H2Setup {
  public:
    H2Setup();
    ~H2Setup();
    H2Setup(const H2Setup&) = delete;
    H2Setup& operator=(const H2Setup&) = delete;
    static nghttp2_data_provider providerOf(H2Stream& stream);  // of a response's body
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_option* options = nullptr;
};

// One client connection speaking HTTP/2 (RFC 9113): frames, header compression and flow control are
// nghttp2's; this class feeds it what arrives, starts an exchange for each request, and writes what
// the streams have, once a loop turn, in as few calls as fit. It also bounds what the protocol lets
// a client ask for without asking for anything: resets, pings, settings, empty frames.
//
// Nothing is written or closed while nghttp2 is calling back: streams mark the session (flushSoon)
// and the worker flushes it at the end of the turn. Worker's thread; recycled.
class H2Session final : public Endpoint, public ClientConnection, public Link<InFlush> {
  public:
    explicit H2Session(Worker& worker)
        : worker_(worker),
          deadline_([](void* self) { static_cast<H2Session*>(self)->onDeadline(); }, this) {}

    // Takes the connection over, with what was read of it.
    void open(ClientSession& from);

    void end() override;
    void closeWhenIdle() override;
    uint32_t listenerSlot() const override { return listener_slot_; }
    void recycle() override;
    void flush();  // at the end of a turn

    // For its streams.
    Worker& worker() { return worker_; }
    nghttp2_session* library() { return library_; }
    void flushSoon();
    void readableLater(H2Stream& stream) {
        if (!stream.Link<InReadable>::linked()) readable_streams_.pushBack(stream);
    }
    void writableLater(H2Stream& stream) {
        if (!stream.Link<InWritable>::linked()) writable_streams_.pushBack(stream);
    }
    const proxy::ClientIdentity& identity() const { return identity_; }
    bool ends(ClientEnds& ends) const {
        ends = ends_;
        return ends_known_;
    }
    const conf::ListenerTimeouts& timeouts() const;
    // A DATA frame: its nine bytes, then the payload. False: no room now.
    bool takeFrame(const uint8_t* head, std::string_view payload);

  private:
    friend class H2Setup;
    static constexpr double kMostCredit = 1000;
    enum class State : uint8_t { closed, open, lingering };

    static void onEvent(evutil_socket_t, short what, void* self) {
        static_cast<H2Session*>(self)->onEvents(what);
    }
    void onEvents(short what);
    void onDeadline();
    void receive();
    bool feed();
    void wakeReaders();
    void wakeWriters();
    bool send();
    bool gather();
    void settle();
    void superviseTime();
    void close();
    void linger();
    void discardInput();
    void terminate(uint32_t code);

    // From nghttp2.
    void onBeginHeaders(const nghttp2_frame& frame);
    void onHeader(const nghttp2_frame& frame, std::string_view name, std::string_view value);
    void onFrame(const nghttp2_frame& frame);
    void onHeaders(const nghttp2_frame& frame);
    void onData(int32_t id, std::string_view payload);
    void onStreamClosed(int32_t id);
    void forgetHead();
    void onFrameSent(const nghttp2_frame& frame);
    void startRequest(H2Stream& stream, bool ended);
    H2Stream* stream(int32_t id) const;
    void charge(double frames);

    Worker& worker_;
    Deadline deadline_;
    nghttp2_session* library_ = nullptr;
    proxy::ClientIdentity identity_;
    ClientEnds ends_;
    List<H2Stream, InSession> streams_;
    List<H2Stream, InReadable> readable_streams_;
    List<H2Stream, InWritable> writable_streams_;
    Buffer out_;
    Buffer head_memory_;  // of the one header block under way
    http::RequestHead* head_ = nullptr;
    proxy::Http2Request request_;
    uint32_t listener_slot_ = 0;
    uint32_t discarded_ = 0;
    double credit_ = kMostCredit;  // frames that ask for nothing (see charge)
    Instant credit_at_{};
    enum class Timed : uint8_t { nothing, head, idle, output, leaving };
    Timed timed_ = Timed::nothing;  // what the deadline is for
    State state_ = State::closed;
    int32_t in_head_ = 0;  // the stream whose header block is under way
    bool first_ = true;    // no request yet
    bool ends_known_ = false;
    bool leaving_ = false;  // the client was told to go elsewhere with what is new
    bool left_ = false;     // and by now knows: nothing begins any more
};

}  // namespace regrow::serve
