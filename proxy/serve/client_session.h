#pragma once

#include <memory>

#include "base/http/parser.h"
#include "conf/config.h"
#include "proxy/http/forward.h"
#include "proxy/net/tls_server.h"
#include "proxy/serve/client_connection.h"
#include "proxy/serve/client_stream.h"
#include "proxy/serve/deadline_wheel.h"
#include "proxy/serve/endpoint.h"
#include "proxy/serve/list.h"

namespace regrow::serve {

class Exchange;
class Worker;

// Lent by the worker while a head is being read: an idle connection needs none.
struct HeadReader {
    http::RequestParser parser;
    http::RequestHead head;
};

// One client connection speaking HTTP/1: reads request heads one after the other (pipelined ones
// wait in the buffer until the one before is answered), hands each to an exchange, writes what the
// exchange gives it, and decides how the connection ends. Idle it holds no buffer. Worker's thread;
// recycled.
class ClientSession final : public Endpoint, public ClientStream, public ClientConnection {
  public:
    explicit ClientSession(Worker& worker)
        : ClientStream(Endpoint::in),
          worker_(worker),
          deadline_([](void* self) { static_cast<ClientSession*>(self)->onDeadline(); }, this) {}

    // `relayed`: a PROXY header said who the client is.
    void open(UniqueFd fd, const Address& peer, uint32_t listener_slot,
              const ClientEnds* relayed = nullptr);
    void close();
    void end() override;
    void closeWhenIdle() override;
    void recycle() override;
    bool idle() const { return state_ == State::reading && in.empty(); }

    // For the exchange.
    bool framed() const override { return true; }
    Filled fill() override;
    void lookAgain() override { Endpoint::lookAgain(); }
    void releaseInput() override;
    void readBulk(bool on) override { Endpoint::readBulk(on); }
    bool takesBulk() const override { return !transport.secured(); }
    bool gone() override;
    Sent sendHead(const http::ResponseHead& head, const proxy::ResponseForward& how,
                  std::string_view& body, bool ended) override;
    Sent sendInterim(const http::ResponseHead& head, const proxy::ResponseForward& how) override;
    Sent sendError(const proxy::ErrorResponse& response, uint64_t& body_bytes) override;
    Sent sendBody(std::string_view& body) override { return send({}, body); }
    void sendTrailers(std::string_view) override {}  // the relay framed them
    void endTunnel() override { transport.shutdownSend(); }
    Sent flush() override;
    bool flushed() const override { return out_.empty(); }
    void exchangeEnded(bool keep, bool whole) override;
    void cut(bool shows) override;
    void abort() override;
    void armSilence() override;
    void clearSilence() override { deadline_.clear(); }
    const proxy::ClientIdentity& identity() const override { return identity_; }
    bool ends(ClientEnds& ends) const override;
    uint32_t listenerSlot() const override { return listener_slot_; }

    const conf::ListenerTimeouts& timeouts() const;
    bool busy() const { return state_ == State::busy; }

  private:
    enum class State : uint8_t { closed, shaking, reading, busy, lingering };

    static void onEvent(evutil_socket_t, short what, void* self) {
        static_cast<ClientSession*>(self)->onEvents(what);
    }
    void onEvents(short what);
    void onDeadline();
    // Sends head and body together. What is left of the head is kept; of the body, `body` is what
    // was not taken.
    Sent send(std::string_view head, std::string_view& body);
    void sendLater(std::string_view head);  // keeps it for flush()
    // client_session_tls.cc
    void beginTls(const std::shared_ptr<const net::TlsServer>& tls);
    void shake();
    void shakeFailed(std::string_view why);
    void run();
    bool readRequest();  // true: another may follow at once
    bool parse();
    void startExchange();
    void refuse(uint16_t status, std::string_view detail);
    void waitForRequest();
    void returnHead();
    void linger();
    void discardInput();

    Worker& worker_;
    Deadline deadline_;
    Exchange* exchange_ = nullptr;
    HeadReader* reading_ = nullptr;  // lent while a head is being read
    Buffer out_;
    proxy::ClientIdentity identity_;
    std::unique_ptr<ClientEnds> relayed_;  // by a PROXY header
    uint32_t listener_slot_ = 0;
    uint32_t discarded_ = 0;
    uint32_t queued_ = 0;  // for the client when its silence began
    State state_ = State::closed;
    bool running_ = false;
    bool in_head_ = false;  // the first bytes of a request are here and its deadline runs
    bool first_ = true;     // no request yet on this connection
};

}  // namespace regrow::serve
