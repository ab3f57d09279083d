#pragma once

#include <nghttp2/nghttp2.h>

#include <array>

#include "proxy/http/websocket.h"
#include "proxy/serve/client_stream.h"
#include "proxy/serve/deadline_wheel.h"
#include "proxy/serve/h2_flow.h"
#include "proxy/serve/pace.h"

namespace regrow::serve {

class Exchange;
class H2Session;
class Worker;
struct InSession;

// One request of a client's HTTP/2 connection and the way back for its answer (h2_flow.h). It
// outlives its exchange while there is something to send, and lives until nghttp2 closes the
// stream or the connection ends. Worker's thread; recycled.
class H2Stream final : public H2Flow, public ClientStream, public Link<InSession> {
  public:
    explicit H2Stream(Worker& worker)
        : H2Flow(worker),
          ClientStream(in_),
          deadline_([](void* self) { static_cast<H2Stream*>(self)->onDeadline(); }, this) {}

    void open(H2Session& session, int32_t id);
    void begin(const http::RequestHead& head, std::string_view websocket_key);
    void refuse(uint16_t status, std::string_view detail);

    // From the session.
    void wake() override;
    void room() override;
    void closed();    // by nghttp2, or with the connection; the last call
    void answered();  // the last frame of the response has been written

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
    void abort() override { abandon(NGHTTP2_CANCEL); }
    void armSilence() override;
    void clearSilence() override { deadline_.clear(); }
    const proxy::ClientIdentity& identity() const override;
    bool ends(ClientEnds& ends) const override;
    uint32_t listenerSlot() const override;

  private:
    bool wanted() const override { return exchange_ && !gone_; }
    void tooManyTrailers() override;
    void wrote(size_t bytes) override;
    void setSilence();
    void onDeadline();
    bool acceptable(const http::ResponseHead& head) const;
    void submit(const nghttp2_nv* fields, size_t count, bool with_body);

    Deadline deadline_;
    Pace pace_;  // in written_
    uint64_t written_ = 0;
    H2Session* session_ = nullptr;
    Exchange* exchange_ = nullptr;
    std::array<char, proxy::kWebSocketKeySize> websocket_key_{};
    bool extended_connect_ = false;
    bool unwanted_ = false;  // the rest of the request, once the response is out
};

}  // namespace regrow::serve
