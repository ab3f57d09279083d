#include "proxy/http/http2_response.h"

#include <charconv>
#include <cstring>

#include "base/http/lines.h"
#include "base/http/meaning.h"
#include "proxy/http/error_response.h"

namespace regrow::proxy {

using http::Flaw;

void Http2Response::begin(char* memory, size_t capacity, http::ResponseHead& head) {
    at_ = memory;
    end_ = memory + capacity;
    head_ = &head;
    head.clear();
    head.version = http::Version::http2;
    flaw_ = Flaw::none;
}

std::string_view Http2Response::keep(std::string_view text) {
    if (text.size() > static_cast<size_t>(end_ - at_)) {
        note(Flaw::head_too_large);
        return {};
    }
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    const std::string_view kept(at_, text.size());
    at_ += text.size();
    return kept;
}

void Http2Response::add(std::string_view name, std::string_view value) {
    if (flaw_ != Flaw::none) return;
    if (name == ":status") {
        const auto [stop, error] =
            std::from_chars(value.data(), value.data() + value.size(), head_->status);
        const bool plain = error == std::errc() && stop == value.data() + value.size();
        if (!plain || head_->status < 100 || head_->status > 599) note(Flaw::bad_status);
        return;
    }
    const std::string_view kept_name = keep(name);
    const std::string_view kept_value = keep(value);
    if (flaw_ == Flaw::none) note(http::addField(kept_name, kept_value, head_->fields, limits_));
}

Flaw Http2Response::finish() {
    if (flaw_ == Flaw::none && head_->status == 101) note(Flaw::bad_status);  // RFC 9113 8.6
    if (flaw_ == Flaw::none) note(http::settleResponse(*head_));
    head_->reason = reasonPhrase(head_->status);  // some HTTP/1 clients want one
    return flaw_;
}

}  // namespace regrow::proxy
