#pragma once

#include "proxy/serve/backend_user.h"
#include "proxy/serve/deadline_wheel.h"
#include "proxy/serve/h2_backend_stream.h"
#include "proxy/serve/h2_connection.h"
#include "proxy/serve/upstream_connection.h"

namespace regrow::serve {

struct InPlace;

// One HTTP/2 connection to the server that fills a place, shared by up to as many exchanges as the
// server lets be under way at once. It is the user of an UpstreamConnection, which connects, shakes
// hands and carries the bytes; so fencing, limits and counting are the UpstreamPool's, as for
// HTTP/1.
//
//     connecting → open → closed
//
// Leaving: it takes no new exchange (the server said GOAWAY, the view changed, or it fell silent
// with an answer owed) and closes after the last one. Worker's thread; recycled.
class H2BackendSession final : public H2Connection, public BackendUser, public Link<InPlace> {
  public:
    explicit H2BackendSession(Worker& worker)
        : H2Connection(worker),
          idle_([](void* self) { static_cast<H2BackendSession*>(self)->leave(); }, this) {}

    void open(UpstreamConnection& connection, bool connecting);
    // Whether one more exchange may begin. `fresh`: only if none has ended here yet.
    bool takes(bool fresh) const;
    H2BackendStream& begin(BackendUser& user, bool fresh);
    void leave();
    bool idle() const { return state_ != State::closed && streams_.empty(); }
    void close(BackendStream::Answer how, std::string_view why);
    void flush() override;

    // For its streams.
    Place& place() const { return *connection_->place; }
    uint64_t epoch() const { return connection_->epoch; }
    bool connecting() const { return state_ == State::connecting; }
    uint64_t frames() const { return frames_; }  // heard so far
    bool kept() const { return answered_; }      // it has served before
    bool leaving() const { return leaving_; }
    // Nothing of what nghttp2 gave from there on was taken by the transport.
    bool untouched(uint64_t begins_at) const { return written() <= begins_at; }
    bool told() const { return told_; }  // the server's settings are here
    bool takesTunnels() const;           // RFC 8441
    bool closedMeanwhile() const;
    // An exchange is over, that began then.
    void streamEnded(bool whole, Instant began);

    // From its connection.
    void onConnected(BackendStream& from) override;
    void onConnectFailed(BackendStream& from, int error) override;
    void onUpstreamEvent(BackendStream& from, bool readable, bool writable) override;
    void onFenced(BackendStream& from) override;
    bool clientEnds(ClientEnds&) const override { return false; }
    void onReleased() override {}
    void onResume() override {}

  private:
    enum class State : uint8_t { closed, connecting, open };

    void start();
    void receive();
    bool feed();
    void settle();
    void endClosed();
    void endBroken();
    void end();
    uint32_t mostStreams() const;
    net::IoResult transmit(std::string_view bytes) override { return connection_->send(bytes); }

    void onBeginHeaders(const nghttp2_frame& frame) override;
    void onHeader(const nghttp2_frame& frame, std::string_view name,
                  std::string_view value) override;
    void onFrame(const nghttp2_frame& frame) override;
    void onStreamClosed(int32_t id, uint32_t error) override;
    void onSending(const nghttp2_frame& frame) override;
    H2BackendStream* stream(int32_t id) const { return static_cast<H2BackendStream*>(flowOf(id)); }

    UpstreamConnection* connection_ = nullptr;
    List<H2BackendStream, InSession> streams_;
    Deadline idle_;
    uint64_t frames_ = 0;
    Instant heard_at_{};
    uint32_t count_ = 0;  // streams_
    State state_ = State::closed;
    bool told_ = false;
    bool leaving_ = false;
    bool answered_ = false;  // an exchange ended well
};

}  // namespace regrow::serve
