#include "proxy/http/http2_request.h"

#include <cstring>

#include "base/http/chars.h"
#include "base/http/lines.h"
#include "base/http/meaning.h"

namespace regrow::proxy {

using http::FieldId;
using http::Flaw;

void Http2Request::begin(char* memory, size_t capacity, http::RequestHead& head) {
    at_ = memory;
    end_ = memory + capacity;
    head_ = &head;
    head.clear();
    head.version = http::Version::http2;
    authority_ = protocol_ = {};
    cookie_count_ = 0;
    flaw_ = Flaw::none;
}

std::string_view Http2Request::keep(std::string_view text) {
    if (text.size() > static_cast<size_t>(end_ - at_)) {
        note(Flaw::head_too_large);
        return {};
    }
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    const std::string_view kept(at_, text.size());
    at_ += text.size();
    return kept;
}

void Http2Request::add(std::string_view name, std::string_view value) {
    if (flaw_ != Flaw::none) return;
    if (name.starts_with(':')) return addPseudo(name, value);
    if (extendedConnect() && name == "sec-websocket-key") return;  // HTTP/1's; it gets ours
    if (name == "cookie") {
        if (cookie_count_ == cookies_.size()) return note(Flaw::too_many_fields);
        cookies_[cookie_count_++] = keep(value);
        return;
    }
    const std::string_view kept = keep(name);
    addKept(kept, keep(value));
}

void Http2Request::addKept(std::string_view name, std::string_view value) {
    if (flaw_ == Flaw::none) note(http::addField(name, value, head_->fields, limits_));
}

void Http2Request::addPseudo(std::string_view name, std::string_view value) {
    if (name == ":method") head_->method_text = keep(value);
    if (name == ":path") head_->target = keep(value);
    if (name == ":authority") authority_ = keep(value);
    if (name == ":protocol") protocol_ = keep(value);
}

// A client may cut its cookies into pieces that compress better; HTTP/1 has one field (RFC 9113
// 8.2.3).
void Http2Request::joinCookies() {
    if (cookie_count_ == 0) return;
    std::string_view joined = cookies_[0];
    if (cookie_count_ > 1) {
        const char* const begin = at_;
        for (size_t i = 0; i < cookie_count_; ++i) {
            if (i > 0) keep("; ");
            keep(cookies_[i]);
        }
        joined = {begin, static_cast<size_t>(at_ - begin)};
    }
    addKept("cookie", joined);
}

Flaw Http2Request::finish(bool ended, std::string_view websocket_key) {
    http::RequestHead& head = *head_;
    joinCookies();
    if (flaw_ == Flaw::none) readFirstLine();
    if (flaw_ == Flaw::none) readWhere();
    if (extendedConnect()) addKept("sec-websocket-key", keep(websocket_key));
    if (flaw_ == Flaw::none) note(http::settleRequest(head));
    if (flaw_ != Flaw::none) return flaw_;
    if (extendedConnect()) {
        head.upgrade = protocol_;
        return head.body.kind == http::BodyKind::none ? Flaw::none : Flaw::bad_content_length;
    }
    if (ended && head.body.kind != http::BodyKind::none) return Flaw::bad_content_length;
    if (!ended && !head.has_content_length) head.body.kind = http::BodyKind::chunked;
    head.expect_continue =
        head.fields.find(FieldId::expect) != nullptr && head.body.kind != http::BodyKind::none;
    return Flaw::none;
}

void Http2Request::readFirstLine() {
    http::RequestHead& head = *head_;
    if (!http::all(head.method_text, http::kToken)) return note(Flaw::bad_method);
    if (head.method_text.size() > limits_.method_bytes) return note(Flaw::method_too_long);
    if (head.target.size() > limits_.target_bytes) return note(Flaw::target_too_long);
    head.method = http::methodOf(head.method_text);
    if (extendedConnect()) {  // RFC 8441 5: what a GET with Upgrade is in HTTP/1
        head.method = http::Method::get;
        head.method_text = "GET";
    } else if (head.method == http::Method::connect) {
        head.target = authority_;
    }
}

// A target is a path or "*": the scheme and the authority have fields of their own.
void Http2Request::readWhere() {
    http::RequestHead& head = *head_;
    if (!authority_.empty()) {
        head.authority = authority_;
        note(http::readAuthority(authority_, head.host, head.port));
    }
    const bool connect = head.method == http::Method::connect;
    if (!connect && !head.target.starts_with('/') && head.target != "*")
        return note(Flaw::bad_target);
    if (flaw_ == Flaw::none) note(http::readTarget(head));
}

}  // namespace regrow::proxy
