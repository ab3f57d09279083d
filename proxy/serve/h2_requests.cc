#include <algorithm>
#include <array>

#include "proxy/http/websocket.h"
#include "proxy/serve/h2_session.h"
#include "proxy/serve/worker.h"

// What arrives on an HTTP/2 connection, frame by frame. Called by nghttp2: nothing here writes to
// the client or ends the session.
namespace regrow::serve {
namespace {

// Frames that ask for nothing cost credit, answers earn it: a client that resets what it asks for
// (CVE-2023-44487), or pings for ever, is soon told to calm down; one that works never is.
constexpr double kCreditPerSecond = 100;
constexpr double kResetCost = 10;
constexpr double kAnswerEarns = 10;

// Making us reset a stream is no cheaper for us than its client's resetting it (CVE-2025-8671).
// Resets that are a backend's doing, or ours, are free; a client may have asked for too many
// streams before it knew how many it may have.
double costOf(uint32_t reset) {
    switch (reset) {
        case NGHTTP2_PROTOCOL_ERROR:
        case NGHTTP2_FLOW_CONTROL_ERROR:
        case NGHTTP2_STREAM_CLOSED:
        case NGHTTP2_ENHANCE_YOUR_CALM: return kResetCost;
        case NGHTTP2_REFUSED_STREAM: return 1;
        default: return 0;
    }
}

}  // namespace

void H2Session::onBeginHeaders(const nghttp2_frame& frame) {
    in_head_ = frame.hd.stream_id;
    if (frame.headers.cat != NGHTTP2_HCAT_REQUEST) return;  // trailers
    H2Stream& stream = worker_.h2_streams.take(worker_);
    streams_.pushBack(stream);
    stream.open(*this, frame.hd.stream_id);
    nghttp2_session_set_stream_user_data(library_, frame.hd.stream_id,
                                         static_cast<H2Flow*>(&stream));
    head_memory_.ensure(worker_.buffers);
    head_memory_.rewind();
    if (!head_) head_ = &worker_.request_heads.take();
    request_.begin(head_memory_.roomBegin(), kMaxHeadBytes, *head_);
}

void H2Session::onHeader(const nghttp2_frame& frame, std::string_view name,
                         std::string_view value) {
    if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) return request_.add(name, value);
    if (H2Stream* s = stream(frame.hd.stream_id)) s->addTrailer(name, value);
}

void H2Session::onFrame(const nghttp2_frame& frame) {
    switch (frame.hd.type) {
        case NGHTTP2_HEADERS: return onHeaders(frame);
        case NGHTTP2_DATA:
            if (H2Stream* s = stream(frame.hd.stream_id);
                s && (frame.hd.flags & NGHTTP2_FLAG_END_STREAM)) {
                s->ended();
                readableLater(*s);
            } else if (frame.hd.length == frame.data.padlen) {
                charge(1);
            }
            return;
        case NGHTTP2_RST_STREAM: return charge(kResetCost);
        case NGHTTP2_PING:
        case NGHTTP2_SETTINGS:
        case NGHTTP2_PRIORITY: return charge(1);
        default: return;
    }
}

void H2Session::onHeaders(const nghttp2_frame& frame) {
    in_head_ = 0;
    H2Stream* s = stream(frame.hd.stream_id);
    if (!s) return;
    const bool ended = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (ended) s->ended();
    if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) return startRequest(*s, ended);
    readableLater(*s);
}

void H2Session::startRequest(H2Stream& stream, bool ended) {
    first_ = false;
    if (timed_ != Timed::leaving) timed_ = Timed::nothing;
    std::array<char, proxy::kWebSocketKeySize + 1> key{};
    if (request_.extendedConnect()) key = proxy::newWebSocketKey();
    const std::string_view websocket_key(key.data());
    const http::Flaw flaw = request_.finish(ended, websocket_key);
    if (flaw != http::Flaw::none) {
        stream.refuse(http::statusOf(flaw), http::textOf(flaw));
    } else if (request_.extendedConnect() && request_.protocol() != "websocket") {
        stream.refuse(501, "only WebSockets can be asked for by an extended CONNECT");
    } else {
        stream.begin(*head_, websocket_key);
    }
    forgetHead();
}

void H2Session::forgetHead() {
    if (head_) worker_.request_heads.giveBack(*std::exchange(head_, nullptr));
    head_memory_.release(worker_.buffers);
}

// One whose header block was refused never comes to the end of it.
void H2Session::onStreamClosed(int32_t id, uint32_t) {
    if (in_head_ == id) {
        in_head_ = 0;
        forgetHead();
    }
    if (H2Stream* s = stream(id)) s->closed();
}

void H2Session::onFrameSent(const nghttp2_frame& frame) {
    if (frame.hd.type == NGHTTP2_RST_STREAM) return charge(costOf(frame.rst_stream.error_code));
    const bool may_end = frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA;
    if (!may_end || (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return;
    credit_ = std::min(kMostCredit, credit_ + kAnswerEarns);
    if (H2Stream* s = stream(frame.hd.stream_id)) s->answered();
}

void H2Session::onFrameNotSent(const nghttp2_frame& frame) {
    if (frame.hd.type != NGHTTP2_HEADERS) return;
    if (H2Stream* s = stream(frame.hd.stream_id)) s->abort();
}

void H2Session::charge(double frames) {
    const Instant now = worker_.now();
    credit_ = std::min(kMostCredit, credit_ + kCreditPerSecond * toSeconds(now - credit_at_));
    credit_at_ = now;
    credit_ -= frames;
    if (credit_ < 0 && !left_) terminate(NGHTTP2_ENHANCE_YOUR_CALM);
}

}  // namespace regrow::serve
