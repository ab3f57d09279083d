#pragma once

#include <array>
#include <string_view>

#include "base/http/head.h"
#include "proxy/balance/balancer.h"
#include "proxy/serve/access_log.h"
#include "proxy/serve/body_relay.h"
#include "proxy/serve/cause.h"
#include "proxy/serve/deadline_wheel.h"
#include "proxy/serve/hold_queue.h"
#include "proxy/serve/local_view.h"
#include "proxy/serve/observation.h"
#include "proxy/serve/retry.h"
#include "proxy/serve/upstream_pool.h"

namespace regrow::serve {

class ClientSession;
class Worker;
struct InResume;

// One request and its response: where it is, what has been sent and received, and what may still be
// undone. It chooses a backend, moves both bodies, and decides with retry.h what happens when an
// attempt fails. The client's side (parsing, writing, persistence) is the session's; which protocol
// the client speaks the exchange does not know.
//
//     begin → dispatch → [waiting] → connecting → awaiting → relaying → done
//                 ↑__________________________________|   (retry: nothing of the response was
//                 forwarded)
//                                              awaiting → tunnelling → done
//
// The request goes out from `request_`, one lent block that begins with the head as written for the
// backend. As long as all of it fits there it can be sent again; once the body has outgrown the
// block it streams past it and cannot. Backpressure: neither side is read while what it sent before
// has not been taken by the other.
//
// Worker's thread; recycled when done, so its pointers stay good for the rest of the loop turn.
class Exchange : public Link<InHold>, public Link<InResume> {
  public:
    enum class State : uint8_t {
        done,
        starting,
        waiting,
        connecting,
        awaiting,
        relaying,
        tunnelling
    };

    explicit Exchange(Worker& worker)
        : worker_(worker),
          deadline_([](void* self) { static_cast<Exchange*>(self)->onDeadline(); }, this) {}

    // From the session. `head` points into the session's buffer and is not used after the call.
    void begin(ClientSession& session, const http::RequestHead& head);
    // Answers what never became a request (a bad head, one that took too long) and ends the
    // connection.
    void refuse(ClientSession& session, uint16_t status, std::string_view detail);
    void onClientReadable(short what);
    void onClientWritable();
    void onClientDeadline();
    void cancel(Cause cause);  // the client is gone or is being cut off

    // From the upstream connection.
    void onConnected();
    void onConnectFailed(int error);
    void onUpstreamEvent(short what);
    void onFenced();  // the connection has been taken away: the server no longer fills its place

    // From the hold queue and the worker.
    void onReleased();
    void onResume();  // it gave way after moving a lot, and may go on

    State state() const { return state_; }

    struct Wait {
        uint64_t number = 0;   // its place in the order of arrival; 0: it never waited
        Instant not_before{};  // pacing of tries against a backend that just failed
        Instant until{};       // 503 then; set when it first waits
        Instant since{};
        Duration total{};
        bool counted = false;  // as released
    };
    Wait wait;

  private:
    // exchange.cc
    void reset();
    void readHead(const http::RequestHead& head);
    // `detail` is a constant: the log says it when the exchange ends.
    void respond(uint16_t status, Cause cause, std::string_view detail);
    void finish();
    void log();
    void onDeadline();
    void armDeadline(Duration d);
    void dropConnection();
    BackendShard& shard() { return *connection_->place->shard; }

    // exchange_dispatch.cc
    void dispatch();
    bool take(const BackendView& backend);
    void attempted(const Place& place);
    void enqueue(Duration pace);
    void nobodyTakesIt();
    void attemptFailed(Trouble trouble);
    bool retryStatus(uint16_t status);
    Attempt describe(Trouble trouble, uint16_t status);
    void act(Verdict verdict, Trouble trouble);
    void giveUp(Trouble trouble);
    void observe(Observation::Kind kind, std::string_view detail);
    void observeSuccess();

    // exchange_request.cc
    void pumpRequest();
    bool sendStored();
    bool sendStreamed();
    bool receiveBody();
    void requestTaken(size_t bytes);
    void requestSent();
    bool awaitsReader() const;
    bool connected() const { return state_ >= State::awaiting && connection_ && !send_broken_; }
    bool replayable() const { return !streamed_; }

    // exchange_response.cc
    void readResponse();
    bool parseResponse();  // false: more must be read first
    bool takeHead(const http::ResponseHead& head);
    void forwardInterim(const http::ResponseHead& head);
    void beginResponse(const http::ResponseHead& head);
    void pumpResponse();
    void clientBlocked();
    bool receiveResponse();
    void responseEnded();
    void badAnswer(std::string_view what);
    void truncated(Cause cause);
    void upstreamGone();

    // tunnel.cc
    void startTunnel(const http::ResponseHead& head);
    void pumpTunnel();
    enum class Flow : uint8_t { blocked, ended, failed, yield };
    Flow pumpFlow(Endpoint& from, Endpoint& to, bool& finished);

    Worker& worker_;
    ClientSession* session_ = nullptr;
    UpstreamConnection* connection_ = nullptr;
    ViewRef view_;
    const PoolView* pool_ = nullptr;
    PoolShard* stats_ = nullptr;
    HoldQueue* queue_ = nullptr;
    Deadline deadline_;  // of the phase: hold, connect, first byte, silence

    Buffer request_;         // the head as sent, then the body as framed for the backend
    size_t request_at_ = 0;  // how much of it this attempt has sent
    BodyRelay body_;         // the request's
    BodyRelay response_;

    std::array<char, 32> upgrade_{};
    uint8_t upgrade_size_ = 0;
    State state_ = State::done;
    http::Method method_ = http::Method::get;
    http::Version version_ = http::Version::http11;
    Cause cause_ = Cause::none;
    std::string_view detail_;  // of our own answer
    uint16_t status_ = 0;
    uint8_t interims_ = 0;
    bool keep_ = false;        // the client's connection afterwards
    bool expecting_ = false;   // the client waits for 100 before it sends its body
    bool overflowed_ = false;  // request_ is full: later bytes stream past it
    bool streamed_ = false;    // and some have been sent: it cannot be sent again
    bool send_broken_ =
        false;  // the backend takes no more of the request; its answer may still come
    bool upstream_keeps_ = false;  // the backend's connection afterwards
    bool attempt_sent_ = false;    // bytes of this attempt reached the kernel
    bool fresh_ = false;           // the next attempt is over a new connection
    bool answered_ = false;        // the final head is on its way to the client
    bool cut_shows_ = true;        // the client can tell a response that ended early
    bool client_done_ = false;     // tunnel: that side sent its end, and it was passed on
    bool backend_done_ = false;
    int sends_ = 0;
    int attempts_ = 0;
    Tried tried_;
    int tries_ = 0;  // since it last waited
    Instant started_{};
    Instant attempt_at_{};
    Duration upstream_time_{};
    uint64_t sent_to_client_ = 0;
    uint32_t last_slot_ = UINT32_MAX;
    LogDraft draft_;
};

}  // namespace regrow::serve
