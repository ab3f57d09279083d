#include "health/http2_checker.h"

#include <fmt/core.h>

#include <array>
#include <charconv>

namespace regrow::health {
namespace {

constexpr uint32_t kHeadLimit = 16 * 1024;  // bytes
constexpr std::string_view kNotHttp2 = "does not speak HTTP/2";

nghttp2_nv field(std::string_view name, std::string_view value) {
    const auto bytes = [](std::string_view text) {
        return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

Http2Checker::Http2Checker(EventLoop& loop, const Address& address, const conf::Check& check,
                           const Speech& speech)
    : Probe(loop, address, check.timeout, speech),
      check_(check),
      authority_(hostOf(address, check)),
      secure_(speech.tls != nullptr) {}

void Http2Checker::connected() {
    if (secure_ && protocol() != "h2")
        return finish(Outcome::bad_answer, "did not choose h2 by ALPN");
    if (!ask()) return finish(Outcome::not_run, "not run, out of memory");
    converse();
}

void Http2Checker::ready() {
    converse();
}

bool Http2Checker::ask() {
    nghttp2_session_callbacks* callbacks = nullptr;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) return false;
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t, void* self) {
            static_cast<Http2Checker*>(self)->onHeader(
                {reinterpret_cast<const char*>(name), name_size},
                {reinterpret_cast<const char*>(value), value_size});
            return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
            auto& checker = *static_cast<Http2Checker*>(self);
            checker.spoke_http2_ = true;
            if (frame->hd.type == NGHTTP2_HEADERS && checker.status_ >= 200)
                checker.answered_ = true;
            return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, int32_t, uint32_t error, void* self) {
            static_cast<Http2Checker*>(self)->onClosed(error);
            return 0;
        });
    nghttp2_session* session = nullptr;
    const int failed = nghttp2_session_client_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    if (failed != 0) return false;
    session_.reset(session);
    const std::array<nghttp2_settings_entry, 2> settings{
        {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kHeadLimit}}};
    const std::array head{field(":method", "GET"),
                          field(":scheme", secure_ ? "https" : "http"),
                          field(":authority", authority_),
                          field(":path", check_.http_path),
                          field("user-agent", "regrow-check"),
                          field("accept", "*/*")};
    return nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) ==
               0 &&
           nghttp2_submit_request(session, nullptr, head.data(), head.size(), nullptr, nullptr) > 0;
}

// Says what there is to say, then listens. Each may end it.
void Http2Checker::converse() {
    if (!tell() || !listen()) return;
    if (answered_) return judge();
    if (closed_)
        return finish(Outcome::bad_answer,
                      fmt::format("reset the stream: {}", nghttp2_http2_strerror(error_)));
    if (!tell()) return;
    if (nghttp2_session_want_read(session_.get()) == 0)
        return finish(Outcome::bad_answer,
                      std::string(spoke_http2_ ? "broke the rules of HTTP/2" : kNotHttp2));
    await(out_.empty() ? Wait::read : Wait::write);
}

// False: it is over.
bool Http2Checker::tell() {
    while (true) {
        const uint8_t* bytes = nullptr;
        const ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
        if (size <= 0) break;
        out_.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
    }
    while (!out_.empty()) {
        const IoResult r = send(out_);
        if (r.kind == IoResult::Kind::failed) return finishErrno(r.error, "sending"), false;
        if (r.bytes == 0) break;
        out_.erase(0, r.bytes);
    }
    return true;
}

bool Http2Checker::listen() {
    std::string in;
    const IoResult r = receive(in);
    if (r.kind == IoResult::Kind::would_block) return true;
    if (r.kind == IoResult::Kind::failed) return finishErrno(r.error, "receiving"), false;
    if (r.kind == IoResult::Kind::closed) {
        if (heard_)
            finish(Outcome::bad_answer,
                   spoke_http2_ ? "connection closed within the answer" : std::string(kNotHttp2));
        else
            finish(Outcome::no_answer, "connection closed without a byte");
        return false;
    }
    heard_ = true;
    const ssize_t taken = nghttp2_session_mem_recv(
        session_.get(), reinterpret_cast<const uint8_t*>(in.data()), in.size());
    if (taken >= 0) return true;
    finish(Outcome::bad_answer,
           std::string(spoke_http2_ ? "broke the rules of HTTP/2" : kNotHttp2));
    return false;
}

void Http2Checker::onHeader(std::string_view name, std::string_view value) {
    if (name == ":status") std::from_chars(value.data(), value.data() + value.size(), status_);
}

void Http2Checker::onClosed(uint32_t error) {
    closed_ = true;
    error_ = error;
}

void Http2Checker::judge() {
    const HttpVerdict verdict = judgeStatus(status_, check_);
    nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
    if (!closed_) nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, 1, NGHTTP2_CANCEL);
    if (tell()) finish(verdict.outcome, verdict.text);
}

}  // namespace regrow::health
