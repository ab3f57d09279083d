#pragma once

#include <cstdint>
#include <string_view>

#include "base/http/head.h"
#include "base/proxy_protocol.h"
#include "conf/config.h"
#include "proxy/http/error_response.h"
#include "proxy/http/forward.h"
#include "proxy/serve/endpoint.h"

namespace regrow::serve {

// The client's side of one exchange: an HTTP/1 connection while one of its requests is answered, or
// one stream of an HTTP/2 connection. The exchange does not know which. It outlives the exchange,
// which calls exchangeEnded() last of all. Worker's thread.
class ClientStream {
  public:
    enum class Sent : uint8_t { all, blocked, failed, too_large };

    explicit ClientStream(Buffer& in) : body_in(in) {}
    virtual ~ClientStream() = default;
    ClientStream(const ClientStream&) = delete;
    ClientStream& operator=(const ClientStream&) = delete;

    // The request's body as it arrives. Framed: the bytes carry HTTP/1's framing. Otherwise they
    // are payload, Filled::end is its end, and trailers() what came after it.
    virtual bool framed() const = 0;
    virtual Endpoint::Filled fill() = 0;
    virtual void lookAgain() = 0;     // more should follow what fill() brought (endpoint.h)
    virtual void releaseInput() = 0;  // nothing is held: give the memory back
    virtual std::string_view trailers() const { return {}; }  // "name: value" CRLF lines
    // What is read goes straight on to somebody who takesBulk().
    virtual void readBulk(bool) {}
    // What is given to it goes straight to the kernel: the more at once, the better.
    virtual bool takesBulk() const { return false; }
    // All of the request is here and there is news: the client left without waiting.
    virtual bool gone() = 0;

    // The response. A head is taken whole or refused as too large; of a body what was not taken
    // stays in `body`. Blocked: the exchange is told when there is room (onClientWritable).
    // `ended`: nothing follows what is in `body`.
    virtual Sent sendHead(const http::ResponseHead& head, const proxy::ResponseForward& how,
                          std::string_view& body, bool ended) = 0;
    // Of no consequence: dropped when the client is not reading.
    virtual Sent sendInterim(const http::ResponseHead& head, const proxy::ResponseForward& how) = 0;
    // `body_bytes`: what of it counts as body.
    virtual Sent sendError(const proxy::ErrorResponse& response, uint64_t& body_bytes) = 0;
    virtual Sent sendBody(std::string_view& body) = 0;
    virtual void sendTrailers(std::string_view lines) = 0;  // after the body, unframed streams only
    virtual void endTunnel() = 0;                           // the backend has sent all it will
    virtual Sent flush() = 0;  // of what was taken and could not be sent
    virtual bool flushed() const = 0;

    // The exchange is over. `keep`: the connection may serve the next request; `whole`: the request
    // was received to its end. What a client is still sending must not meet a closed socket, whose
    // reset could overtake the answer.
    virtual void exchangeEnded(bool keep, bool whole) = 0;
    // The response ends early and the client must see that; `shows`: its framing tells by itself.
    virtual void cut(bool shows) = 0;
    virtual void abort() = 0;  // nothing more is of use to the client

    // The deadline on a client that neither sends what it announced nor reads what it asked for.
    virtual void armSilence() = 0;
    virtual void clearSilence() = 0;

    virtual const proxy::ClientIdentity& identity() const = 0;
    // Both ends of the client's connection; false when they are not known.
    virtual bool ends(ClientEnds& ends) const = 0;
    virtual uint32_t listenerSlot() const = 0;

    Buffer& body_in;
};

}  // namespace regrow::serve
