#pragma once

#include <vector>

#include "base/http/body.h"
#include "proxy/http/http2_response.h"
#include "proxy/http/websocket.h"
#include "proxy/serve/backend_stream.h"
#include "proxy/serve/deadline_wheel.h"
#include "proxy/serve/h2_flow.h"

namespace regrow::serve {

class H2BackendSession;
struct InSession;

// One exchange over a backend's HTTP/2 connection. The request comes as it is stored, in HTTP/1's
// text, and is said in HTTP/2's words here; the answer's heads wait until they are read, in order.
//
// It belongs to its user until finish(), and lives until nghttp2 has closed the stream as well, or
// the connection has ended. Worker's thread; recycled.
class H2BackendStream final : public H2Flow, public BackendStream, public Link<InSession> {
  public:
    explicit H2BackendStream(Worker& worker)
        : H2Flow(worker),
          BackendStream(in_),
          deadline_([](void* self) { static_cast<H2BackendStream*>(self)->onDeadline(); }, this) {}

    // `fresh`: the session was new to its backend for this one, which is then never stale.
    void open(H2BackendSession& session, BackendUser& by, bool fresh);

    // For the exchange.
    net::IoResult send(std::string_view bytes) override;
    void endSending() override { endOutput(); }
    Answer readHead(http::ResponseHead*& into) override;
    bool framed() const override { return false; }
    Endpoint::Filled fill() override;
    std::string_view trailers() const override { return trailers_in_; }
    bool allHere() const override {
        return ended_ && received_.empty() && trailers_in_.empty() && heads_.empty();
    }
    void lookAgain() override {}  // the session reads its connection
    void releaseInput() override { releaseRead(); }
    bool closedMeanwhile() override;
    bool untouched() const override { return untouched_; }
    bool refused() const override { return refused_; }
    void finish(bool whole) override;

    // From the session.
    void wake() override;
    void room() override;
    void beginHead();
    void addField(std::string_view name, std::string_view value);
    void endHead();
    bool answered() const { return answered_; }  // the final head is here
    void resetByPeer() { reset_by_peer_ = true; }
    void sending(uint64_t at) { begins_at_ = at; }
    void closed(uint32_t error);  // by nghttp2
    // The connection is no more; these are the session's last calls.
    void lost(Answer how, std::string_view why);
    void connectFailed(int error, std::string_view why);
    void fenced();

  private:
    struct Head {
        http::ResponseHead* head = nullptr;
        Buffer memory;  // where it points
    };
    static constexpr uint64_t kNotSent = UINT64_MAX;

    bool wanted() const override { return user && !gone_; }
    void tooManyTrailers() override { abandon(NGHTTP2_ENHANCE_YOUR_CALM); }
    size_t submit(std::string_view request);
    size_t refuse(Answer how, std::string_view why);
    size_t answerNotTaken();
    void openTunnel(http::ResponseHead& head);
    size_t sendBody(std::string_view bytes);
    void leaveSession();
    void dropLastHead();
    void dropHeads();
    void retire();
    void onDeadline();

    Deadline deadline_;
    H2BackendSession* session_ = nullptr;
    std::vector<Head> heads_;  // not read yet, oldest first; more than one when interim ones came
    Buffer head_memory_;       // of the one that was read last
    proxy::Http2Response response_;
    http::BodyDecoder body_;  // of the request, out of its HTTP/1 framing
    std::string accept_;      // of a WebSocket: what its client wants to see
    uint64_t begins_at_ = kNotSent;
    uint64_t frames_before_ = 0;  // what the session had heard when this began
    Instant began_{};
    Answer ending_ = Answer::none;
    bool fresh_ = false;
    bool connecting_ = false;
    bool in_head_ = false;
    bool heard_ = false;  // a head of the answer, if only an interim one
    bool answered_ = false;
    bool reset_by_peer_ = false;
    bool untouched_ = false;
    bool refused_ = false;
    bool closed_ = false;  // nghttp2 has nothing of it any more
};

}  // namespace regrow::serve
