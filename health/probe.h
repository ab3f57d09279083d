#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/event_loop.h"
#include "base/io_result.h"
#include "base/tls/client_context.h"
#include "base/tls/stream.h"
#include "base/unique_fd.h"
#include "health/checker.h"

namespace regrow::health {

// A non-blocking connection with a deadline over the whole of it: what TCP and HTTP checks share. A
// fresh one for each probe, because a server that only serves its old connections is not well. To a
// pool that is spoken to by TLS it has a handshake first.
class Probe {
  public:
    Probe(EventLoop& loop, const Address& address, Duration timeout, Speech speech = {})
        : loop_(loop), address_(address), timeout_(timeout), speech_(std::move(speech)) {}
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    virtual ~Probe() = default;

    void start(Checker::Done done);

  protected:
    enum class Wait { read, write };
    virtual void connected() = 0;
    virtual void ready() = 0;  // what await() waited for
    // Whether the server has said anything so far: decides what a timeout means.
    virtual bool heard() const = 0;

    // Close by RST: no TIME_WAIT is left behind by a connection that nothing was said on.
    void resetOnClose();
    // Sends what goes. Receives what there is into the end of `to`, some 64 KiB at most.
    IoResult send(std::string_view bytes);
    IoResult receive(std::string& to);
    void await(Wait what);
    std::string_view protocol() const { return stream_->protocol(); }  // by ALPN
    // Ends it: nothing is called after this, and *this may be gone when it returns.
    void finish(Outcome outcome, std::string text);
    // For an errno of connecting, reading or writing.
    void finishErrno(int error, std::string_view doing);

  private:
    void open();
    void opened();
    bool introduce();
    void handshake();
    void expired();

    EventLoop& loop_;
    Address address_;
    Duration timeout_;
    Speech speech_;
    Checker::Done done_;
    Instant started_{};
    UniqueFd fd_;
    std::unique_ptr<tls::Stream> stream_;
    bool connecting_ = false;
    bool shaking_ = false;
    FdWatch watch_;
    Timer deadline_;
};

}  // namespace regrow::health
