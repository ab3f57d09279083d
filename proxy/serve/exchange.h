#pragma once

#include <array>
#include <string_view>

#include "base/http/head.h"
#include "proxy/balance/balancer.h"
#include "proxy/balance/route_table.h"
#include "proxy/serve/access_log.h"
#include "proxy/serve/backend_attempt.h"
#include "proxy/serve/backend_stream.h"
#include "proxy/serve/backend_user.h"
#include "proxy/serve/body_encoder.h"
#include "proxy/serve/body_relay.h"
#include "proxy/serve/cause.h"
#include "proxy/serve/deadline_wheel.h"
#include "proxy/serve/hold_queue.h"
#include "proxy/serve/local_view.h"
#include "proxy/serve/observation.h"
#include "proxy/serve/pace.h"
#include "proxy/serve/retry.h"
#include "proxy/serve/upstream_pool.h"

namespace regrow::serve {

class ClientGuard;
class ClientStream;
class Worker;

// One request and its response: where it is, what has been sent and received, and what may still be
// undone. It chooses a backend, moves both bodies, and decides with retry.h what happens when an
// attempt fails. The client's side (parsing, writing, persistence) is the ClientStream's, the
// backend's side the BackendStream's; which protocols they speak the exchange does not know.
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
class Exchange final : public BackendUser {
  public:
    enum class State : uint8_t {
        done,
        starting,
        checking,  // its password
        waiting,
        connecting,
        awaiting,
        relaying,
        tunnelling
    };

    explicit Exchange(Worker& worker)
        : worker_(worker),
          ceiling_([](void* self) { static_cast<Exchange*>(self)->onCeiling(); }, this),
          deadline_([](void* self) { static_cast<Exchange*>(self)->onDeadline(); }, this) {}

    // From the client's stream. `head` points into its buffer and is not used after the call.
    void begin(ClientStream& client, const http::RequestHead& head);
    // Answers what never became a request (a bad head, one that took too long) and ends the
    // connection.
    void refuse(ClientStream& client, uint16_t status, std::string_view detail);
    void onClientReadable(bool closed);  // closed: the client ended its side
    void onClientWritable();
    void onClientDeadline();
    void onTooManyTrailers();
    void cancel(Cause cause);  // the client is gone or is being cut off

    void onConnected(BackendStream& from) override;
    void onConnectFailed(BackendStream& from, int error) override;
    void onUpstreamEvent(BackendStream& from, bool readable, bool writable) override;
    void onFenced(BackendStream& from) override;
    bool clientEnds(ClientEnds& ends) const override;
    void onPasswordChecked(bool right);
    void onReleased() override;
    void onResume() override;
    void onOverdue() override;

    State state() const { return state_; }

  private:
    // exchange.cc
    void reset();
    void readHead(const http::RequestHead& head);
    bool answersMethod(const http::RequestHead& head);
    // exchange_admit.cc
    bool admit(const http::RequestHead& head);
    bool admitClient(ClientGuard& guard, const http::RequestHead& head);
    void tooMany(Refusal why, Duration after, std::string_view detail);
    void refused(Refusal why);
    void onCeiling();
    void leaveClient();
    // exchange_key.cc
    uint64_t clientKey(const http::RequestHead& head) const;
    uint64_t hashKey(const http::RequestHead& head) const;
    void readKey(const http::RequestHead& head);
    std::string_view affinityCookie() const;
    // exchange_route.cc
    void beginRouted(const RouteTarget& target, const http::RequestHead& head);
    bool admits(const http::RequestHead& head) const;
    bool prepare(uint32_t pool, const http::RequestHead& head);
    bool editRequest(http::RequestHead& head);
    bool writeLocation(const http::RequestHead& head);
    void proceed();
    void answerOptions();
    bool bodyTooLarge();
    const ErrorPages* errorPages();
    bool respondStyled(uint16_t status, std::string_view detail);
    struct OwnAnswer {
        uint16_t status = 200;
        std::string_view content_type = {}, body = {}, location = {}, challenge = {}, allow = {},
                         retry_after = {}, cache_control = {};
    };
    void answer(const OwnAnswer& own);
    void sendAnswer(const OwnAnswer& own);
    // False: it could not be, and was answered.
    bool writeRequest(uint32_t pool, const http::RequestHead& head);
    // Of the rule, or of the pool.
    const conf::Retry& retryRules() const { return route_ ? route_->retry : pool_->retry; }
    Duration firstByte() const { return route_ ? route_->first_byte : pool_->timeouts.first_byte; }
    Duration idle() const { return route_ ? route_->idle : pool_->timeouts.idle; }
    // `detail` is a constant: the log says it when the exchange ends.
    void conclude(uint16_t status, Cause cause, std::string_view detail);
    void respond(uint16_t status, Cause cause, std::string_view detail);
    void finish();
    void log();
    void onDeadline();
    void armDeadline(Duration d);
    void dropConnection();
    BackendShard& shard() { return *attempt_.stream->place->shard; }

    // exchange_dispatch.cc
    void dispatch();
    bool take(const BackendView& backend);
    void attempted(const Place& place);
    void connected();
    void connectFailed(int error);
    void enqueue(Duration pace);
    void nobodyTakesIt();
    void attemptFailed(Trouble trouble);
    bool retryStatus(uint16_t status);
    Attempt describe(Trouble trouble, uint16_t status);
    void act(Verdict verdict, Trouble trouble);
    void giveUp(Trouble trouble);
    std::string_view connectTrouble(int error) const;
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
    bool backendBlocked();
    bool canSend() const {
        return state_ >= State::awaiting && attempt_.stream && !attempt_.send_broken;
    }
    // The backend took no more. Its answer may be there all the same.
    void sendFailed();
    bool replayable() const { return !streamed_; }

    // exchange_response.cc
    void readResponse();
    bool takeHead(http::ResponseHead& head);
    void forwardInterim(const http::ResponseHead& head);
    void beginResponse(http::ResponseHead& head);
    void pumpResponse();
    void clientBlocked();
    void clientTook();
    void awaitClient();
    void letClientBe();
    uint64_t movedByClient() const { return sent_to_client_ + body_.payloadBytes(); }
    bool receiveResponse();
    void responseEnded();
    void badAnswer(std::string_view what);
    void truncated(Cause cause);
    void upstreamGone(BackendStream::Answer how);

    // exchange_hedge.cc
    bool mayHedge() const;
    void owed();
    void owedNoMore(BackendAttempt& attempt);
    void sendSecond();
    void onSecondEvent(bool readable, bool writable);
    void readSecond();
    void secondAnswered(uint16_t status);
    void secondWins(http::ResponseHead& head);
    void secondFailed(Observation::Kind kind);
    void dropSecond();
    bool promoteSecond();
    void drop(BackendAttempt& attempt);
    void leave(BackendAttempt& attempt);
    static bool speaksOfHealth(uint16_t status);
    static constexpr int kMostInterims = 16;

    // exchange_encoding.cc
    void chooseCoding(const http::RequestHead& head);
    void considerEncoding(http::ResponseHead& head);
    void considerTag(http::ResponseHead& head);
    void weakenTag(http::ResponseHead& head);
    void encodeResponse(bool waiting);
    std::string_view responseOut() const;
    void responseTaken(size_t bytes);
    void dropEncoder();

    // tunnel.cc
    void startTunnel(const http::ResponseHead& head);
    void pumpTunnel();
    enum class Flow : uint8_t { blocked, ended, failed, yield };
    Flow pumpUp();
    Flow pumpDown();

    Worker& worker_;
    ClientStream* client_ = nullptr;
    BackendAttempt attempt_;
    BackendAttempt second_;  // while two race for the first answer
    ViewRef view_;
    const PoolView* pool_ = nullptr;
    const RouteActions* route_ = nullptr;  // nullptr: a plain rule, or none yet
    ViewRef route_view_;                   // keeps what is used of the rule or its listener
    PoolShard* stats_ = nullptr;
    HoldQueue* queue_ = nullptr;
    Deadline ceiling_;   // of the whole request, with timeouts.request
    Deadline deadline_;  // of the phase: hold, connect, first byte, silence

    Buffer request_;  // the head as sent, then the body as framed for the backend
    BodyRelay body_;  // the request's
    BodyRelay response_;
    std::unique_ptr<BodyEncoder> encoder_;  // of the response, when it is encoded

    std::array<char, 32> upgrade_{};
    uint8_t upgrade_size_ = 0;
    State state_ = State::done;
    http::Method method_ = http::Method::get;
    http::Version version_ = http::Version::http11;
    conf::Coding coding_ = conf::Coding::identity;  // what the client would take
    Cause cause_ = Cause::none;
    Trouble trouble_ = Trouble::reset;  // that ended the last attempt
    std::string_view detail_;           // of our own answer
    uint16_t status_ = 0;
    uint8_t interims_ = 0;
    bool keep_ = false;             // the client's connection afterwards
    bool trailers_wanted_ = false;  // the client takes trailers
    bool expecting_ = false;        // the client waits for 100 before it sends its body
    bool overflowed_ = false;       // request_ is full: later bytes stream past it
    bool streamed_ = false;         // and some have been sent: it cannot be sent again
    bool hedged_ = false;           // there was a second attempt beside the first
    bool second_connecting_ = false;
    bool fresh_ = false;        // the next attempt is over a new connection
    bool answered_ = false;     // the final head is on its way to the client
    bool cut_shows_ = true;     // the client can tell a response that ended early
    bool client_done_ = false;  // tunnel: that side sent its end, and it was passed on
    bool backend_done_ = false;
    int sends_ = 0;
    int attempts_ = 0;
    Tried tried_;
    RequestKey key_;
    uint32_t client_entry_ = UINT32_MAX;  // where its client is counted
    uint32_t retry_after_s_ = 0;
    Pace pace_;              // of the client, in what it sends and takes
    bool weakly_ = false;    // it asks whether a weak tag still holds
    std::string tag_;        // of the response, made weak
    bool secure_ = false;    // its client asked by TLS, of us or of whoever is before us
    bool declared_ = false;  // how long the request's body is
    int tries_ = 0;          // since it last waited
    Instant started_{};
    Duration upstream_time_{};
    uint64_t sent_to_client_ = 0;
    LogDraft draft_;
};

}  // namespace regrow::serve
