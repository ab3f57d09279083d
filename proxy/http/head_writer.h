#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace regrow::proxy {

// Appends to memory somebody else owns; never allocates. What does not fit is dropped as a whole
// and full() stays true: check once, at the end.
class HeadWriter {
  public:
    HeadWriter(char* begin, size_t capacity) : begin_(begin), at_(begin), end_(begin + capacity) {}

    void add(std::string_view text) {
        if (text.size() > static_cast<size_t>(end_ - at_)) {
            full_ = true;
            return;
        }
        if (!text.empty()) std::memcpy(at_, text.data(), text.size());
        at_ += text.size();
    }
    void add(char c) { add(std::string_view(&c, 1)); }
    void addNumber(uint64_t number);
    void addHex(uint64_t number);
    void addField(std::string_view name, std::string_view value) {
        add(name), add(": "), add(value), add("\r\n");
    }

    bool full() const { return full_; }
    size_t size() const { return static_cast<size_t>(at_ - begin_); }
    std::string_view text() const { return {begin_, size()}; }

  private:
    char* begin_;
    char* at_;
    char* end_;
    bool full_ = false;
};

}  // namespace regrow::proxy
