#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <string_view>

#include "base/http/field.h"
#include "proxy/http/head_writer.h"

namespace regrow::serve {

// A field section as nghttp2 takes it: views, and text of our own kept beside them. nghttp2 copies
// all and writes names in lower case.
class H2Fields {
  public:
    void add(std::string_view name, std::string_view value) {
        if (count_ == list_.size()) return;
        list_[count_++] = {bytes(name), bytes(value), name.size(), value.size(),
                           NGHTTP2_NV_FLAG_NONE};
    }
    void addStatus(uint16_t status) {
        proxy::HeadWriter text(status_.data(), status_.size());
        text.addNumber(status);
        add(":status", text.text());
    }
    // "name: value" CRLF lines.
    void addLines(std::string_view lines);
    const nghttp2_nv* data() const { return list_.data(); }
    size_t size() const { return count_; }

  private:
    // What we say ourselves in a head: pseudo-fields, forwarding, framing.
    static constexpr size_t kOurs = 20;

    static uint8_t* bytes(std::string_view text) {
        return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
    }
    std::array<nghttp2_nv, http::FieldList::kCapacity + kOurs> list_;
    std::array<char, 4> status_;
    size_t count_ = 0;
};

}  // namespace regrow::serve
