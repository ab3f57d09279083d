#pragma once

#include <cstdint>
#include <string_view>

#include "base/http/flaw.h"

namespace regrow::http {

// Cuts a growing buffer into CRLF lines, remembering how far it looked. One pass finds the line's
// end and every byte that may not be in a head: the first control byte (tab excepted) must be the
// CR of a CRLF.
class LineScanner {
  public:
    enum class Found : uint8_t { need_more, line, flaw };

    // `input` starts at the same first byte each time. On `line`, `line` is without its CRLF.
    Found next(std::string_view input, std::string_view& line, Flaw& flaw);
    uint32_t position() const { return line_start_; }  // first byte after the lines returned so far
    bool atStart() const { return scanned_ == 0; }

  private:
    uint32_t line_start_ = 0;
    uint32_t scanned_ = 0;  // no line end and no bad byte before this
};

// The first byte below 0x20 other than tab, or 0x7f; `end` when there is none.
const char* findControl(const char* begin, const char* end);

}  // namespace regrow::http
