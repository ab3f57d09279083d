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
// until it is empty. Of the trailers those are kept that may be passed on, if they are wanted.
class BodyRelay {
  public:
    // `chunk_out`: the receiver gets chunked framing; else the payload as it is.
    void begin(http::Body in, bool chunk_out, bool pass_trailers);

    bool transform(Buffer& in);  // false: the sender broke the framing, see flaw()
    // The sender closed. False: in the middle of the body. `in` is empty; `trailers` came with the
    // end ("name: value" CRLF lines), and are framed in it.
    bool closed(Buffer& in, std::string_view trailers = {});
    // Nothing follows what was just transformed: its end was not framed.
    void endHere();
    // Of a body that ended, when it is not framed here: lines as above, as long as out() would be.
    std::string_view trailers() const { return trailers_; }

    // What is sent was never received: a whole body of our own.
    void give(std::string_view bytes) {
        *this = BodyRelay();
        out_ = bytes;
    }

    std::string_view out() const { return out_; }
    void sent(size_t bytes) { out_.remove_prefix(bytes); }
    bool received() const { return received_; }  // the sender has sent all of it
    bool ended() const { return received_ && out_.empty(); }
    uint64_t payloadBytes() const { return payload_bytes_; }
    http::Flaw flaw() const { return flaw_; }

  private:
    void frame(char* begin, char* end);
    char* frameEnd(char* to);
    void keepTrailers(char* lines, size_t size);

    http::BodyDecoder decoder_;
    std::string_view out_;
    uint64_t payload_bytes_ = 0;
    http::Flaw flaw_ = http::Flaw::none;
    std::string_view trailers_;
    bool chunk_out_ = false;
    bool pass_trailers_ = false;
    bool received_ = true;
};

}  // namespace regrow::serve
