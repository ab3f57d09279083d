#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/http/flaw.h"
#include "base/http/head.h"
#include "base/http/line_scanner.h"

// Strict HTTP/1 head parsing (RFC 9112), in place, no I/O, no allocation. Pure; one parser per
// message being read, about 40 bytes. What two readers could take differently is refused, never
// repaired.
//
// A parser is fed the whole head so far, from its first byte, each time more has arrived; it goes
// on at the line where it stopped and looks at no byte twice. The buffer may have moved in between.
// Usage:
//
//     ParseResult r = parser.parse(buffer.unread(), head);
//     need_more: read more, call again (or 408 at the deadline) · error: answer statusOf(r.flaw),
//     close done: the head is the first r.bytes bytes; `head` points into them; call reset() before
//     the next message.
namespace regrow::http {

struct HeadLimits {
    uint32_t head_bytes = 64 * 1024;
    uint32_t target_bytes = 16 * 1024;
    uint16_t fields = FieldList::kCapacity;
    uint16_t method_bytes = 32;
};

enum class Outcome : uint8_t { need_more, done, error };
struct ParseResult {
    Outcome outcome = Outcome::need_more;
    Flaw flaw = Flaw::none;  // for error
    uint32_t bytes = 0;      // for done: length of the head, its empty line included
};

class RequestParser {
  public:
    ParseResult parse(std::string_view input, RequestHead& head, const HeadLimits& limits = {});
    void reset() { *this = RequestParser(); }
    // Nothing of a request has been seen: closing now loses nothing.
    bool idle() const { return scanner_.atStart(); }

  private:
    LineScanner scanner_;
    const char* base_ = nullptr;
    bool have_first_line_ = false;
};

class ResponseParser {
  public:
    ParseResult parse(std::string_view input, ResponseHead& head, const HeadLimits& limits = {});
    void reset() { *this = ResponseParser(); }
    bool idle() const { return scanner_.atStart(); }

  private:
    LineScanner scanner_;
    const char* base_ = nullptr;
    bool have_first_line_ = false;
};

}  // namespace regrow::http
