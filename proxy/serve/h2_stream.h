#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <string>

#include "proxy/serve/client_stream.h"
#include "proxy/serve/deadline_wheel.h"
#include "proxy/serve/list.h"

namespace regrow::serve {

class Exchange;
class H2Session;
class Worker;
struct InSession;
struct InReadable;
struct InWritable;

// One request of an HTTP/2 connection and the way back for its answer. What arrives waits in
// `received_` until the exchange has passed on what it had before; the client may send as much as
// that holds (its window is opened again as the exchange reads). What the exchange gives waits in
// `out_` until the connection's turn to write and the client's window allow it, up to kHigh bytes;
// beyond that the exchange stops reading from its backend.
//
// It outlives its exchange while there is something to send, and lives until nghttp2 closes the
// stream or the connection ends. Worker's thread; recycled.
class H2Stream final : public ClientStream,
                       public Link<InSession>,
                       public Link<InReadable>,
                       public Link<InWritable> {
  public:
    static constexpr uint32_t kWindow = 65'535;  // what a client may send unasked; fits a block

    explicit H2Stream(Worker& worker)
        : ClientStream(in_),
          worker_(worker),
          deadline_([](void* self) { static_cast<H2Stream*>(self)->onDeadline(); }, this) {}

    void open(H2Session& session, int32_t id);
    void begin(const http::RequestHead& head, std::string_view websocket_key);
    void refuse(uint16_t status, std::string_view detail);
    int32_t id() const { return id_; }

    // From the session.
    bool take(std::string_view payload);  // false: more than its window
    void addTrailer(std::string_view name, std::string_view value);
    void ended() { ended_ = true; }  // the client sent all it will
    void wake();                     // there is something new to read
    void room();                     // there is room to write again
    void closed();                   // by nghttp2, or with the connection; the last call
    void answered();                 // the last frame of the response has been written
    ssize_t offer(size_t most, uint32_t& flags);
    int give(const uint8_t* frame_head, size_t length);

    // For the exchange.
    bool framed() const override { return false; }
    Endpoint::Filled fill() override;
    void lookAgain() override {}  // the session reads its connection
    void releaseInput() override;
    std::string_view trailers() const override { return trailers_in_; }
    bool gone() override { return false; }  // the session says so
    Sent sendHead(const http::ResponseHead& head, const proxy::ResponseForward& how,
                  std::string_view& body, bool ended) override;
    Sent sendInterim(const http::ResponseHead& head, const proxy::ResponseForward& how) override;
    Sent sendError(const proxy::ErrorResponse& response, uint64_t& body_bytes) override;
    Sent sendBody(std::string_view& body) override;
    void sendTrailers(std::string_view lines) override { trailers_out_ = lines; }
    void endTunnel() override;
    Sent flush() override;
    bool flushed() const override { return out_.size() < kHigh; }
    void exchangeEnded(bool keep, bool whole) override;
    void cut(bool shows) override;
    void abort() override;
    void armSilence() override;
    void clearSilence() override { deadline_.clear(); }
    const proxy::ClientIdentity& identity() const override;
    bool ends(ClientEnds& ends) const override;
    uint32_t listenerSlot() const override;

  private:
    static constexpr size_t kHigh = 64 * 1024;
    static constexpr size_t kLow = 32 * 1024;

    void onDeadline();
    bool acceptable(const http::ResponseHead& head) const;
    void submit(const nghttp2_nv* fields, size_t count, bool with_body);
    void submitTrailers();
    void finishOutput();
    void reset(uint32_t error);

    Worker& worker_;
    Deadline deadline_;
    H2Session* session_ = nullptr;
    Exchange* exchange_ = nullptr;
    Buffer in_;
    Buffer received_;
    Buffer out_;
    std::string trailers_in_;
    std::string trailers_out_;
    std::array<char, 24> websocket_key_{};
    uint32_t trailer_count_ = 0;
    int32_t id_ = 0;
    bool extended_connect_ = false;
    bool ended_ = false;     // the request
    bool complete_ = false;  // the response: all of it is in out_
    bool unwanted_ = false;  // the rest of the request, once the response is out
    bool blocked_ = false;   // the exchange waits for room
    bool gone_ = false;      // closed or reset
};

}  // namespace regrow::serve
