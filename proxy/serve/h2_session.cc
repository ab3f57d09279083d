#include "proxy/serve/h2_session.h"

#include <algorithm>
#include <array>

#include "proxy/serve/worker.h"

namespace regrow::serve {
namespace {

constexpr uint32_t kMaxStreams = 128;
constexpr int32_t kConnectionWindow = 1 << 20;
constexpr int kRounds = 16;
constexpr Duration kLinger = std::chrono::seconds(2);
constexpr Duration kDrainGrace = std::chrono::seconds(1);
constexpr uint32_t kLingerBytes = 4 << 20;

}  // namespace

void H2Session::open(ClientSession& from) {
    Endpoint::reset();
    takeOver(from);
    identity_ = from.identity();
    ends_known_ = from.ends(ends_);
    listener_slot_ = from.listenerSlot();
    discarded_ = 0;
    in_head_ = 0;
    leaving_ = left_ = false;
    first_ = true;
    timed_ = Timed::nothing;
    credit_ = kMostCredit;
    credit_at_ = worker_.now();
    state_ = State::open;
    nghttp2_session_server_new2(&library_, worker_.h2.callbacks, static_cast<H2Connection*>(this),
                                worker_.h2.options);
    const std::array<nghttp2_settings_entry, 4> settings{
        {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxStreams},
         {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2Stream::kWindow},
         {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHeadBytes},
         {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}}};
    nghttp2_submit_settings(library_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    nghttp2_session_set_local_window_size(library_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
    watch.start(worker_.base(), transport.fd(), onEvent, this);
    flushSoon();
    if (in.empty() || feed()) receive();
}

const conf::ListenerTimeouts& H2Session::timeouts() const {
    return worker_.timeoutsOf(listener_slot_);
}

H2Stream* H2Session::stream(int32_t id) const {
    return static_cast<H2Stream*>(flowOf(id));
}

void H2Session::onEvents(short what) {
    note(what);
    if (state_ == State::lingering) return discardInput();
    if (what & EV_WRITE) flushSoon();
    receive();
}

void H2Session::receive() {
    for (int round = 0; round < kRounds && state_ == State::open; ++round) {
        switch (fill(worker_.buffers)) {
            case Filled::bytes:
                if (!feed()) return;
                break;
            case Filled::dry: in.release(worker_.buffers); return;
            case Filled::full:
            case Filled::end:
            case Filled::failed: return close();
        }
    }
}

// False: the session has ended over it.
bool H2Session::feed() {
    const auto* bytes = reinterpret_cast<const uint8_t*>(in.data());
    const ssize_t taken = nghttp2_session_mem_recv(library_, bytes, in.size());
    in.consume(in.size());
    if (taken < 0)
        terminate(taken == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM
                                               : NGHTTP2_PROTOCOL_ERROR);
    tellReadable();
    flushSoon();
    return state_ == State::open;
}

void H2Session::flush() {
    if (state_ != State::open) return;
    if (readable) receive();
    if (state_ != State::open) return;
    if (!writeOut()) return close();
    settle();
}

net::IoResult H2Session::transmit(std::string_view bytes) {
    const net::IoResult r = transport.send(bytes);
    if (r.bytes > 0 && timed_ == Timed::output) timed_ = Timed::nothing;
    return r;
}

void H2Session::settle() {
    const bool over =
        nghttp2_session_want_read(library_) == 0 && nghttp2_session_want_write(library_) == 0;
    if (out_.empty() && (over || (left_ && streams_.empty()))) return linger();
    superviseTime();
}

// One deadline for the connection as a whole; what each stream waits for has its own.
void H2Session::superviseTime() {
    const auto within = [this](Timed what, Duration time) {
        if (std::exchange(timed_, what) == what) return;
        if (what == Timed::output) queued_ = transport.queued();
        worker_.deadlines.set(deadline_, worker_.now() + time);
    };
    if (blocked()) return within(Timed::output, timeouts().body);
    if (in_head_ != 0 || (first_ && streams_.empty()))
        return within(Timed::head, timeouts().header);
    if (leaving_ && !left_) return within(Timed::leaving, kDrainGrace);
    if (streams_.empty()) return within(Timed::idle, timeouts().idle);
    timed_ = Timed::nothing;
    deadline_.clear();
}

void H2Session::onDeadline() {
    const Timed what = std::exchange(timed_, Timed::nothing);
    if (state_ == State::lingering) return close();
    if (what == Timed::output)
        return Pace::drained(queued_, transport.queued()) ? superviseTime() : close();
    if (what != Timed::leaving) return terminate(NGHTTP2_NO_ERROR);
    left_ = true;
    nghttp2_submit_goaway(library_, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(library_), NGHTTP2_NO_ERROR,
                          nullptr, 0);
    flushSoon();
}

void H2Session::terminate(uint32_t code) {
    leaving_ = left_ = true;
    nghttp2_session_terminate_session(library_, code);
    flushSoon();
}

// What crosses our notice on its way is still served (RFC 9113 6.8).
void H2Session::closeWhenIdle() {
    if (state_ != State::open || std::exchange(leaving_, true)) return;
    nghttp2_submit_shutdown_notice(library_);
    flushSoon();
}

void H2Session::end() {
    close();
}

void H2Session::close() {
    if (state_ == State::closed) return;
    state_ = State::closed;
    while (!streams_.empty()) streams_.front().closed();
    forget();
    shut(worker_.buffers);
    forgetHead();
    deadline_.clear();
    Link<InWorker>::unlink();
    worker_.connectionClosed(*this);
}

void H2Session::recycle() {
    worker_.h2_sessions.giveBack(*this);
}

// Our last frames must not be overtaken by the reset that unread bytes would cause.
void H2Session::linger() {
    while (!streams_.empty()) streams_.front().closed();
    state_ = State::lingering;
    transport.shutdownSend();
    worker_.deadlines.set(deadline_, worker_.now() + kLinger);
    discardInput();
}

void H2Session::discardInput() {
    while (state_ == State::lingering) {
        const Filled filled = fill(worker_.buffers);
        if (filled == Filled::dry) return in.release(worker_.buffers);
        discarded_ += static_cast<uint32_t>(in.size());
        in.consume(in.size());
        if (filled != Filled::bytes || discarded_ > kLingerBytes) return close();
    }
}

}  // namespace regrow::serve
