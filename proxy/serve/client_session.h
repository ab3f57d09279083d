#pragma once

#include "base/http/parser.h"
#include "conf/config.h"
#include "proxy/http/forward.h"
#include "proxy/serve/deadline_wheel.h"
#include "proxy/serve/endpoint.h"
#include "proxy/serve/list.h"

namespace regrow::serve {

class Exchange;
class Worker;
struct InWorker;

// One client connection speaking HTTP/1: reads request heads one after the other (pipelined ones
// wait in the buffer until the one before is answered), hands each to an exchange, writes what the
// exchange gives it, and decides how the connection ends. Idle it holds no buffer. Worker's thread;
// recycled.
class ClientSession : public Endpoint, public Link<InWorker> {
  public:
    explicit ClientSession(Worker& worker)
        : worker_(worker),
          deadline_([](void* self) { static_cast<ClientSession*>(self)->onDeadline(); }, this) {}

    void open(UniqueFd fd, const Address& peer, uint32_t listener_slot);
    void close();
    void end();            // whatever it is doing
    void closeWhenIdle();  // drain: now, or after the exchange under way
    bool idle() const { return state_ == State::reading && in.empty(); }

    // For the exchange.
    enum class Sent : uint8_t { all, blocked, failed };
    // Sends head and body together. What is left of the head is kept; of the body, `body` is what
    // was not taken.
    Sent send(std::string_view head, std::string_view& body);
    void sendLater(std::string_view head);  // keeps it for flush()
    Sent flush();                           // of what was kept
    bool flushed() const { return out_.empty(); }
    // The exchange is over; the session goes on to the next request, or ends when `keep` is false.
    // `whole`: the request was received to its end. What a client is still sending must not meet a
    // closed socket, whose reset could overtake the answer.
    void exchangeEnded(bool keep, bool whole);
    void abort();  // reset: the client must not take what it got for a whole response
    void armSilence();
    void clearSilence() { deadline_.clear(); }

    const proxy::ClientIdentity& identity() const { return identity_; }
    uint32_t listenerSlot() const { return listener_slot_; }
    const conf::ListenerTimeouts& timeouts() const;
    bool busy() const { return state_ == State::busy; }

  private:
    enum class State : uint8_t { closed, reading, busy, lingering };

    static void onEvent(evutil_socket_t, short what, void* self) {
        static_cast<ClientSession*>(self)->onEvents(what);
    }
    void onEvents(short what);
    void onDeadline();
    void run();
    bool readRequest();  // true: another may follow at once
    bool parse();
    void startExchange(const http::RequestHead& head);
    void refuse(uint16_t status, std::string_view detail);
    void waitForRequest();
    void returnHead();
    void linger();
    void discardInput();

    Worker& worker_;
    Deadline deadline_;
    Exchange* exchange_ = nullptr;
    http::RequestHead* head_ = nullptr;  // lent while a head is being read
    http::RequestParser parser_;
    Buffer out_;
    proxy::ClientIdentity identity_;
    uint32_t listener_slot_ = 0;
    uint32_t discarded_ = 0;
    State state_ = State::closed;
    bool running_ = false;
    bool in_head_ = false;  // the first bytes of a request are here and its deadline runs
    bool first_ = true;     // no request yet on this connection
};

}  // namespace regrow::serve
