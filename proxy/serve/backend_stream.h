#pragma once

#include <cstdint>
#include <string_view>

#include "base/http/head.h"
#include "proxy/serve/endpoint.h"

namespace regrow::serve {

class BackendUser;
struct Place;

// The backend's side of one attempt: an HTTP/1 connection while it serves one exchange, or a stream
// of an HTTP/2 connection. Its user
// does not know what is spoken there: it gives the request as written for HTTP/1, from the first
// byte of the head, and gets the response's head parsed and its body as it arrives. What happens is
// told by the calls of BackendUser, each naming the stream, so that a user may have more than one.
// Belongs to the server that filled `place` at `epoch`, and to its user until finish(). Worker's
// thread.
class BackendStream {
  public:
    explicit BackendStream(Buffer& in) : body_in(in) {}
    virtual ~BackendStream() = default;
    BackendStream(const BackendStream&) = delete;
    BackendStream& operator=(const BackendStream&) = delete;

    // Takes what it can of the request (`bytes`); would_block: onUpstreamEvent tells when there is
    // room. After a failure the answer may still be read.
    virtual net::IoResult send(std::string_view bytes) = 0;
    virtual void endSending() = 0;  // of a tunnel: nothing follows

    // none: later · head: lent from Worker::response_heads, give it back · bad, gone, stale: there
    // will be none, `trouble` says why. Stale: the connection was kept from an earlier exchange and
    // turned out closed before a byte of the answer.
    enum class Answer : uint8_t { none, head, bad, gone, stale };
    virtual Answer readHead(http::ResponseHead*& head) = 0;
    // The body. Framed: the bytes carry HTTP/1's framing, as the head says. Otherwise they are
    // payload, Filled::end is its end, and trailers() what came after it.
    virtual bool framed() const = 0;
    virtual Endpoint::Filled fill() = 0;
    virtual std::string_view trailers() const { return {}; }  // "name: value" CRLF lines
    // Of an unframed body: nothing follows what is in body_in, no trailers either.
    virtual bool allHere() const { return false; }
    virtual void lookAgain() = 0;     // more should follow what fill() brought (endpoint.h)
    virtual void releaseInput() = 0;  // nothing is held: give the memory back
    virtual void readBulk(bool) {}    // as in client_stream.h
    virtual bool takesBulk() const { return false; }
    // Asked before anything is sent: a kept connection that the backend has closed meanwhile.
    virtual bool closedMeanwhile() = 0;

    // Of one that came to nothing: the request never left us, or the server said that it did not
    // begin with it. Either way it has not acted on it.
    virtual bool untouched() const { return false; }
    virtual bool refused() const { return false; }

    // The exchange is done with it; the last call. `whole`: request and answer were passed on to
    // their ends, and what carried them may serve again.
    virtual void finish(bool whole) = 0;

    Place* place = nullptr;
    uint64_t epoch = 0;
    BackendUser* user = nullptr;
    std::string_view trouble;  // why it came to nothing
    Buffer& body_in;
};

}  // namespace regrow::serve
