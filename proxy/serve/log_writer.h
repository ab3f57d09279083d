#pragma once

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/clock.h"

namespace regrow::serve {

// Writes one log line into memory that is given. What does not fit is left out, a piece at a time.
// By hand, because a general formatter costs more than all the rest of logging a request.
class LogWriter {
  public:
    LogWriter(char* begin, char* end, bool json) : at_(begin), end_(end), json_(json) {}
    char* at() const { return at_; }

    LogWriter& operator<<(std::string_view text) {
        if (text.size() > room()) return *this;
        at_ = std::copy(text.begin(), text.end(), at_);
        return *this;
    }
    LogWriter& operator<<(uint64_t number) {
        const auto written = std::to_chars(at_, end_, number);
        if (written.ec == std::errc()) at_ = written.ptr;
        return *this;
    }
    // In milliseconds: "12.345".
    LogWriter& operator<<(Duration time) {
        const auto us =
            static_cast<uint64_t>(std::max(Duration::zero(), time) / std::chrono::microseconds(1));
        const auto rest = static_cast<unsigned>(us % 1000);
        const char decimals[] = {'.', digit(rest / 100), digit(rest / 10 % 10), digit(rest % 10)};
        return *this << us / 1000 << std::string_view(decimals, sizeof decimals);
    }
    // What a client chose: nothing of it may end a line, close a quote or move a terminal's cursor.
    LogWriter& escaped(std::string_view text, size_t most);

  private:
    static char digit(unsigned n) { return static_cast<char>('0' + n); }
    size_t room() const { return static_cast<size_t>(end_ - at_); }
    void escape(unsigned char byte);

    char* at_;
    char* end_;
    bool json_;
};

}  // namespace regrow::serve
