#include "proxy/serve/h2_backend_stream.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proxy/http/error_response.h"
#include "proxy/http/http2_forward.h"
#include "proxy/serve/backend_user.h"
#include "proxy/serve/h2_backend_session.h"
#include "proxy/serve/h2_fields.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {
namespace {

constexpr size_t kMostHeads = 32;  // unread; an exchange takes fewer interim ones
// What is left of a stream whose exchange is over: its last frames, either way.
constexpr Duration kLinger = std::chrono::seconds(2);

net::IoResult failed() {
    return {.kind = net::IoResult::Kind::failed, .error = EPIPE};
}

std::string_view textOfReset(uint32_t error) {
    switch (error) {
        case NGHTTP2_NO_ERROR: return "reset the stream without an error";
        case NGHTTP2_REFUSED_STREAM: return "refused the stream";
        case NGHTTP2_CANCEL: return "cancelled the stream";
        case NGHTTP2_INTERNAL_ERROR: return "reset the stream: an internal error";
        case NGHTTP2_ENHANCE_YOUR_CALM: return "reset the stream: too much";
        case NGHTTP2_HTTP_1_1_REQUIRED: return "reset the stream: it wants HTTP/1.1";
        default: return "reset the stream";
    }
}

}  // namespace

void H2BackendStream::open(H2BackendSession& session, BackendUser& by, bool fresh) {
    H2Flow::reset();
    connection_ = session_ = &session;
    user = &by;
    trouble = {};
    place = &session.place();
    epoch = session.epoch();
    frames_before_ = session.frames();
    began_ = worker_.now();
    begins_at_ = kNotSent;
    ending_ = Answer::none;
    accept_.clear();
    fresh_ = fresh;
    connecting_ = session.connecting();
    heard_ = answered_ = reset_by_peer_ = untouched_ = refused_ = closed_ = false;
    if (connecting_) session.writableLater(*this);
}

net::IoResult H2BackendStream::send(std::string_view bytes) {
    if (gone_) return failed();
    size_t taken = 0;
    if (id_ == 0) {
        if (!session_->told() && proxy::asksForWebSocket(bytes)) {
            blocked_ = true;
            return {};  // whether it takes one is not known yet
        }
        taken = submit(bytes);
        if (taken == 0) return failed();
    }
    taken += sendBody(bytes.substr(taken));
    if (taken == 0) return {};
    return {.kind = net::IoResult::Kind::bytes, .bytes = taken};
}

// The request's head; the size it had in HTTP/1's text, 0 when it cannot be.
size_t H2BackendStream::submit(std::string_view request) {
    H2Fields fields;
    const proxy::Http2Forward forward = proxy::visitHttp2Request(
        request, place->tls ? "https" : "http",
        [&](std::string_view name, std::string_view value) { fields.add(name, value); });
    body_ = http::BodyDecoder(forward.body);
    if (forward.body.kind == http::BodyKind::tunnel) {
        if (!session_->takesTunnels()) return answerNotTaken();
        accept_ = proxy::webSocketAccept(forward.websocket_key);
    }
    const nghttp2_data_provider provider = H2Setup::providerOf(*this);
    id_ = nghttp2_submit_request(connection_->library(), nullptr, fields.data(), fields.size(),
                                 body_.done() ? nullptr : &provider, static_cast<H2Flow*>(this));
    connection_->flushSoon();
    if (id_ > 0) return forward.bytes;
    session_->leave();
    return refuse(session_->kept() && !fresh_ ? Answer::stale : Answer::gone,
                  "takes no more streams");
}

size_t H2BackendStream::refuse(Answer how, std::string_view why) {
    id_ = 0;
    gone_ = closed_ = untouched_ = true;
    ending_ = how;
    trouble = why;
    return 0;
}

// It is no fault of the server's, and what its client asked for cannot be had: what a server says
// that does not know a method.
size_t H2BackendStream::answerNotTaken() {
    http::ResponseHead& head = *heads_.emplace_back(&worker_.response_heads.take()).head;
    head.clear();
    head.version = http::Version::http2;
    head.status = 501;
    head.reason = proxy::reasonPhrase(501);
    head.has_content_length = true;
    head.keep_alive = true;
    heard_ = answered_ = ended_ = true;
    return refuse(Answer::gone, "takes no WebSockets over HTTP/2");
}

size_t H2BackendStream::sendBody(std::string_view bytes) {
    size_t taken = 0;
    while (!body_.done() && taken < bytes.size()) {
        const size_t room = kHigh - std::min(kHigh, out_.size());
        const http::BodyStep step = body_.next(bytes.substr(taken, room));
        if (step.kind == http::BodyStep::Kind::payload) put(step.payload);
        if (step.kind == http::BodyStep::Kind::done) trailers_out_ = step.trailers;
        taken += step.consumed;
        blocked_ = taken < bytes.size();
        if (step.consumed == 0) break;
    }
    if (body_.done() && taken > 0) endOutput();
    return taken;
}

H2BackendStream::Answer H2BackendStream::readHead(http::ResponseHead*& into) {
    head_memory_.release(worker_.buffers);
    const size_t whole = heads_.size() - (in_head_ ? 1 : 0);
    if (whole == 0) return gone_ ? ending_ : Answer::none;
    into = std::exchange(heads_.front().head, nullptr);
    std::swap(head_memory_, heads_.front().memory);
    heads_.erase(heads_.begin());
    if (!into->interim()) read();  // the body's first part goes out with it
    return Answer::head;
}

Endpoint::Filled H2BackendStream::fill() {
    head_memory_.release(worker_.buffers);
    const Endpoint::Filled filled = read();
    return filled == Endpoint::Filled::dry && gone_ ? Endpoint::Filled::failed : filled;
}

bool H2BackendStream::closedMeanwhile() {
    return session_ && session_->closedMeanwhile();
}

void H2BackendStream::wake() {
    if (user) user->onUpstreamEvent(*this, true, false);
}

void H2BackendStream::room() {
    blocked_ = false;
    if (!user) return;
    if (std::exchange(connecting_, false))
        user->onConnected(*this);
    else
        user->onUpstreamEvent(*this, false, true);
}

void H2BackendStream::beginHead() {
    if (!wanted()) return;
    if (heads_.size() == kMostHeads) return abandon(NGHTTP2_ENHANCE_YOUR_CALM);
    Head& head = heads_.emplace_back();
    head.head = &worker_.response_heads.take();
    head.memory.ensure(worker_.buffers);
    response_.begin(head.memory.roomBegin(), kMaxHeadBytes, *head.head);
    in_head_ = true;
}

void H2BackendStream::addField(std::string_view name, std::string_view value) {
    if (in_head_) return response_.add(name, value);
    if (wanted()) addTrailer(name, value);
}

void H2BackendStream::endHead() {
    if (!std::exchange(in_head_, false)) return;
    const http::Flaw flaw = response_.finish();
    if (flaw == http::Flaw::none) {
        http::ResponseHead& head = *heads_.back().head;
        heard_ = true;
        answered_ = !head.interim();
        if (!accept_.empty() && answered_) openTunnel(head);
        return;
    }
    dropLastHead();
    ending_ = Answer::bad;
    trouble = http::textOf(flaw);
    abandon(NGHTTP2_PROTOCOL_ERROR);
}

// RFC 8441 5: any 2xx opens it, which over HTTP/1 a 101 does. Else it is an answer as others are.
void H2BackendStream::openTunnel(http::ResponseHead& head) {
    if (head.status >= 300) return endOutput();
    head.status = 101;
    head.reason = proxy::reasonPhrase(101);
    head.upgrade = "websocket";
    head.has_content_length = false;
    constexpr std::string_view kName = proxy::kWebSocketAccept;
    head.fields.add({.name_data = kName.data(),
                     .value_data = accept_.data(),
                     .value_size = static_cast<uint32_t>(accept_.size()),
                     .name_size = static_cast<uint16_t>(kName.size())});
}

// Complete, or with an answer still owed: then who ended it says what it was.
void H2BackendStream::closed(uint32_t error) {
    closed_ = gone_ = true;
    dropOutput();
    if (in_head_) dropLastHead();
    if (!user) return retire();
    untouched_ = begins_at_ == kNotSent;
    refused_ = !untouched_ && error == NGHTTP2_REFUSED_STREAM && !heard_;
    if (ending_ == Answer::none) {
        // Of a connection that the server ends, another one takes it; refused by one that goes on
        // it is refused.
        untouched_ = untouched_ || (refused_ && session_->leaving() && session_->kept());
        const bool stale = untouched_ && session_->kept() && !fresh_;
        ending_ = stale                                      ? Answer::stale
                  : reset_by_peer_ || untouched_ || refused_ ? Answer::gone
                                                             : Answer::bad;
        trouble = ending_ == Answer::bad ? "broke the rules of HTTP/2" : textOfReset(error);
    }
    connection_->readableLater(*this);
}

void H2BackendStream::lost(Answer how, std::string_view why) {
    untouched_ = untouched_ || session_->untouched(begins_at_);
    if (in_head_) dropLastHead();
    const bool quiet = !heard_ && session_->frames() == frames_before_;
    const bool kept = session_->kept() && !fresh_;
    leaveSession();
    if (!user) return retire();
    if (ending_ == Answer::none) {
        trouble = why;
        ending_ = how == Answer::gone && (untouched_ || quiet) && kept ? Answer::stale : how;
    }
    user->onUpstreamEvent(*this, true, false);
}

void H2BackendStream::connectFailed(int error, std::string_view why) {
    trouble = why;
    untouched_ = true;
    leaveSession();
    if (!user) return retire();
    user->onConnectFailed(*this, error);
}

void H2BackendStream::fenced() {
    leaveSession();
    BackendUser* const by = std::exchange(user, nullptr);
    if (by) by->onFenced(*this);
    retire();
}

void H2BackendStream::leaveSession() {
    closed_ = gone_ = true;
    connection_ = session_ = nullptr;
    Link<InSession>::unlink();
    Link<InReadable>::unlink();
    Link<InWritable>::unlink();
}

void H2BackendStream::finish(bool whole) {
    user = nullptr;
    Link<InReadable>::unlink();
    Link<InWritable>::unlink();
    dropHeads();
    H2Flow::dropInput();
    if (!session_) return retire();
    session_->streamEnded(whole, began_);
    if (closed_ || id_ == 0) return retire();
    if (!whole) return abandon(NGHTTP2_CANCEL);
    worker_.deadlines.set(deadline_, worker_.now() + kLinger);
}

void H2BackendStream::onDeadline() {
    abandon(NGHTTP2_CANCEL);
}

// One that broke off, or may not be passed on.
void H2BackendStream::dropLastHead() {
    in_head_ = false;
    worker_.response_heads.giveBack(*heads_.back().head);
    heads_.back().memory.release(worker_.buffers);
    heads_.pop_back();
}

void H2BackendStream::dropHeads() {
    head_memory_.release(worker_.buffers);
    for (Head& h : heads_) {
        if (h.head) worker_.response_heads.giveBack(*h.head);
        h.memory.release(worker_.buffers);
    }
    heads_.clear();
    in_head_ = false;
}

void H2BackendStream::retire() {
    if (session_) session_->flushSoon();  // it may have been the last one
    if (session_ && id_ != 0 && !closed_)
        nghttp2_session_set_stream_user_data(session_->library(), id_, nullptr);
    leaveSession();
    dropHeads();
    deadline_.clear();
    H2Flow::dropInput();
    dropOutput();
    worker_.retire(*this);
}

}  // namespace regrow::serve
