#include "proxy/serve/h2_backend_session.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "proxy/serve/worker.h"

namespace regrow::serve {
namespace {

// Exchanges on one connection: what servers grant by default (RFC 9113 6.5.2 recommends no less
// than 100), or less where they say so.
constexpr uint32_t kMostStreams = 100;
// None of them can use up what belongs to all: a client that does not read holds only its own.
constexpr int32_t kConnectionWindow = kMostStreams * H2Flow::kWindow;
constexpr int kRounds = 16;
constexpr Duration kWorthDoubting = std::chrono::milliseconds(100);
constexpr std::string_view kNotHttp2 = "does not speak HTTP/2";

}  // namespace

void H2BackendSession::open(UpstreamConnection& connection, bool connecting) {
    connection_ = &connection;
    gathered_ = frames_ = 0;
    heard_at_ = worker_.now();
    count_ = 0;
    told_ = leaving_ = answered_ = false;
    state_ = State::connecting;
    if (!connecting) start();
}

void H2BackendSession::start() {
    state_ = State::open;
    nghttp2_session_client_new2(&library_, worker_.h2.callbacks, static_cast<H2Connection*>(this),
                                worker_.h2.options);
    const std::array<nghttp2_settings_entry, 3> settings{
        {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
         {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2Flow::kWindow},
         {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHeadBytes}}};
    nghttp2_submit_settings(library_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    nghttp2_session_set_local_window_size(library_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
    flushSoon();
}

uint32_t H2BackendSession::mostStreams() const {
    if (!library_) return kMostStreams;
    return std::min(kMostStreams, nghttp2_session_get_remote_settings(
                                      library_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
}

bool H2BackendSession::takes(bool fresh) const {
    return state_ != State::closed && !leaving_ && !(fresh && answered_) &&
           connection_->state != UpstreamConnection::State::closed && count_ < mostStreams();
}

H2BackendStream& H2BackendSession::begin(BackendUser& user, bool fresh) {
    H2BackendStream& stream = worker_.h2_backend_streams.take(worker_);
    streams_.pushBack(stream);
    ++count_;
    idle_.clear();
    stream.open(*this, user, fresh);
    return stream;
}

bool H2BackendSession::closedMeanwhile() const {
    const auto seen = connection_->transport.peek().kind;
    return seen == net::IoResult::Kind::closed || seen == net::IoResult::Kind::failed;
}

bool H2BackendSession::takesTunnels() const {
    return nghttp2_session_get_remote_settings(library_,
                                               NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

// One that came to nothing while the whole connection was silent: it may be dead without a word,
// and whoever comes next must not find out again.
void H2BackendSession::streamEnded(bool whole, Instant began) {
    --count_;
    answered_ |= whole;
    const Duration lasted = worker_.now() - began, silent = worker_.now() - heard_at_;
    if (!whole && lasted >= kWorthDoubting && silent * 2 >= lasted) leaving_ = true;
    flushSoon();
}

void H2BackendSession::leave() {
    leaving_ = true;
    flushSoon();
}

void H2BackendSession::onConnected(BackendStream&) {
    if (connection_->transport.secured() && connection_->transport.tls()->protocol() != "h2") {
        connection_->trouble = "does not speak HTTP/2: it did not choose h2 by ALPN";
        return onConnectFailed(*connection_, EPROTO);
    }
    start();
    tellWritable();
    if (state_ == State::open) receive();
}

void H2BackendSession::onConnectFailed(BackendStream&, int error) {
    const std::string_view why = connection_->trouble;
    Link<InPlace>::unlink();
    leaving_ = true;
    while (!streams_.empty()) streams_.front().connectFailed(error, why);
    end();
}

void H2BackendSession::onUpstreamEvent(BackendStream&, bool readable, bool writable) {
    if (writable) flushSoon();
    if (readable) receive();
}

void H2BackendSession::receive() {
    for (int round = 0; round < kRounds && state_ == State::open; ++round) {
        switch (connection_->fill()) {
            case Endpoint::Filled::bytes:
                if (!feed()) return;
                break;
            case Endpoint::Filled::dry: return connection_->releaseInput();
            case Endpoint::Filled::full:
            case Endpoint::Filled::end:
            case Endpoint::Filled::failed: return endClosed();
        }
    }
    flushSoon();
}

// False: the session has ended over it.
bool H2BackendSession::feed() {
    heard_at_ = worker_.now();
    Buffer& in = connection_->in;
    const ssize_t taken =
        nghttp2_session_mem_recv(library_, reinterpret_cast<const uint8_t*>(in.data()), in.size());
    in.consume(in.size());
    tellReadable();
    if (state_ != State::open) return false;
    if (taken < 0) {
        endBroken();
        return false;
    }
    if (count_ > 0) connection_->lookAgain();
    flushSoon();
    return true;
}

void H2BackendSession::flush() {
    if (state_ == State::open) {
        if (connection_->readable) receive();
        if (state_ == State::open && !writeOut()) return endClosed();
    }
    if (state_ != State::closed) settle();
}

void H2BackendSession::endClosed() {
    close(BackendStream::Answer::gone,
          frames_ == 0 ? "closed the connection before a word of HTTP/2" : "closed the connection");
}

void H2BackendSession::endBroken() {
    close(BackendStream::Answer::bad, frames_ == 0 ? kNotHttp2 : "broke the rules of HTTP/2");
}

// nghttp2 says goodbye by itself to who breaks the rules, and then wants nothing more of him.
void H2BackendSession::settle() {
    if (state_ == State::open && out_.empty() && nghttp2_session_want_read(library_) == 0)
        return endBroken();
    if (!streams_.empty()) return;
    if (leaving_ || connecting()) return close(BackendStream::Answer::gone, "");
    if (!idle_.armed()) worker_.deadlines.set(idle_, worker_.now() + place().idle_timeout);
}

void H2BackendSession::onFenced(BackendStream&) {
    Link<InPlace>::unlink();
    leaving_ = true;
    while (!streams_.empty()) streams_.front().fenced();
    connection_ = nullptr;
    end();
}

void H2BackendSession::close(BackendStream::Answer how, std::string_view why) {
    if (state_ == State::closed) return;
    Link<InPlace>::unlink();  // nobody is to be sent here any more
    leaving_ = true;
    while (!streams_.empty()) streams_.front().lost(how, why);
    end();
}

void H2BackendSession::end() {
    if (state_ == State::closed) return;
    state_ = State::closed;
    Link<InPlace>::unlink();
    idle_.clear();
    if (connection_) std::exchange(connection_, nullptr)->finish(false);
    forget();
    worker_.retire(*this);
}

void H2BackendSession::onBeginHeaders(const nghttp2_frame& frame) {
    H2BackendStream* const s = stream(frame.hd.stream_id);
    const bool head = frame.headers.cat == NGHTTP2_HCAT_RESPONSE || (s && !s->answered());
    if (s && head) s->beginHead();
}

void H2BackendSession::onHeader(const nghttp2_frame& frame, std::string_view name,
                                std::string_view value) {
    if (H2BackendStream* const s = stream(frame.hd.stream_id)) s->addField(name, value);
}

void H2BackendSession::onFrame(const nghttp2_frame& frame) {
    ++frames_;
    if (frame.hd.type == NGHTTP2_GOAWAY) leaving_ = true;
    if (frame.hd.type == NGHTTP2_SETTINGS && !std::exchange(told_, true))
        for (auto* s = streams_.first(); s; s = streams_.after(*s)) writableLater(*s);
    H2BackendStream* const s = frame.hd.stream_id == 0 ? nullptr : stream(frame.hd.stream_id);
    if (!s) return;
    if (frame.hd.type == NGHTTP2_RST_STREAM) s->resetByPeer();
    if (frame.hd.type == NGHTTP2_HEADERS) s->endHead();
    if ((frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA) &&
        (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        s->ended();
    if (frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA) readableLater(*s);
}

void H2BackendSession::onStreamClosed(int32_t id, uint32_t error) {
    if (H2BackendStream* const s = stream(id)) s->closed(error);
}

void H2BackendSession::onSending(const nghttp2_frame& frame) {
    if (frame.hd.type != NGHTTP2_HEADERS) return;
    if (H2BackendStream* const s = stream(frame.hd.stream_id)) s->sending(gathered_);
}

}  // namespace regrow::serve
