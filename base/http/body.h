#pragma once

#include <cstdint>
#include <string_view>

#include "base/http/chunk_extension.h"
#include "base/http/flaw.h"
#include "base/http/head.h"
#include "base/http/line_scanner.h"

namespace regrow::http {

// Finds the payload in a body's bytes without copying them. Pure; one per body under way, 24 bytes.
//
//     while (true) {
//         BodyStep s = decoder.next(input);
//         input.remove_prefix(s.consumed);        // framing and payload together
//         payload: forward s.payload (lies within the consumed bytes) · need_more: read · done: the
//         rest is the next message
//     }
//
// need_more may leave bytes unconsumed (a trailer section that has not ended): keep them in front
// of what comes next. Strict: chunk sizes are 1 to 16 hex digits below 2^63, bare line feeds are
// refused, extensions are ignored if well-formed and not more than the payload by 8 KiB (Go's
// measure against floods of small chunks), trailers are fields as in a head, at most 8 KiB and as
// many as a head may have, and never Content-Length, Transfer-Encoding or Host.
struct BodyStep {
    enum class Kind : uint8_t { need_more, payload, done, error };
    Kind kind = Kind::need_more;
    Flaw flaw = Flaw::none;
    size_t consumed = 0;       // bytes of the input to drop
    std::string_view payload;  // for payload; never empty
    std::string_view
        trailers;  // for done: checked "Name: value" CRLF lines, empty when there were none
};

class BodyDecoder {
  public:
    static constexpr uint32_t kMaxTrailerBytes = 8 * 1024;
    static constexpr uint16_t kMaxExtensionBytes = 8 * 1024;

    BodyDecoder() = default;
    explicit BodyDecoder(Body body);

    // With `until_close` and `tunnel` the body never ends by itself: the caller's end of file is
    // its end (finishedByClose()).
    BodyStep next(std::string_view input);
    bool done() const { return state_ == State::done; }
    // Whether the peer's close here ends the body properly. False: it was cut off.
    bool finishedByClose() const;

    // Payload bytes that may follow at once without any framing in between, for splice: the rest of
    // the length or of the chunk, UINT64_MAX until close; 0 when framing comes next or the body is
    // done.
    uint64_t contiguous() const;
    // `bytes` of payload went by without passing through next(). At most contiguous().
    void skip(uint64_t bytes);

  private:
    enum class State : uint8_t {
        done,
        counted,
        endless,
        size,
        extension,
        size_lf,
        chunk,
        chunk_cr,
        chunk_lf,
        trailers,
        failed
    };

    BodyStep takePayload(std::string_view input, size_t framing);
    BodyStep takeTrailers(std::string_view input, size_t framing);
    BodyStep refuse(Flaw flaw);
    Flaw takeFramingByte(char c);
    Flaw takeSizeByte(char c);
    Flaw takeExtensionByte(char c);

    uint64_t remaining_ = 0;
    LineScanner scanner_;
    uint16_t extensions_ = 0;  // bytes of them beyond what payload came
    ChunkExtension extension_;
    uint8_t digits_ = 0;
    uint8_t trailers_ = 0;  // lines seen
    Flaw flaw_ = Flaw::none;
    State state_ = State::done;
};

}  // namespace regrow::http
