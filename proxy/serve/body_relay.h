#pragma once

#include <cstdint>
#include <string_view>

#include "base/http/body.h"
#include "proxy/serve/buffer.h"

namespace regrow::serve {

// One direction of one body: turns the bytes received into the bytes to send, in place. Whatever
// the framing in, the payload's pieces are drawn together and framed anew (one chunk per read, or
// none), so that nothing of a peer's framing travels on; a body with a length is not touched at
// all.
//
//     fill the buffer → transform(buffer) → send out(), as much as goes, sent(n) → when out() is
//     empty, fill again
//
// out() points into the buffer, before its unread bytes; do not fill, rewind or compact the buffer
// until it is empty. Trailers are checked and dropped (RFC 9112 7.1.2 allows it).
class BodyRelay {
  public:
    // `chunk_out`: the receiver gets chunked framing; else the payload as it is.
    void begin(http::Body in, bool chunk_out);

    bool transform(Buffer& in);  // false: the sender broke the framing, see flaw()
    // The sender closed. False: in the middle of the body.
    bool closed();

    std::string_view out() const { return out_; }
    void sent(size_t bytes) { out_.remove_prefix(bytes); }
    bool received() const { return received_; }  // the sender has sent all of it
    bool ended() const { return received_ && out_.empty(); }
    uint64_t payloadBytes() const { return payload_bytes_; }
    http::Flaw flaw() const { return flaw_; }

  private:
    void frame(char* begin, char* end);

    http::BodyDecoder decoder_;
    std::string_view out_;
    uint64_t payload_bytes_ = 0;
    http::Flaw flaw_ = http::Flaw::none;
    bool chunk_out_ = false;
    bool received_ = true;
};

}  // namespace regrow::serve
