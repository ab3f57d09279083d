#include <algorithm>

#include "proxy/http/error_response.h"
#include "proxy/serve/client_session.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/worker.h"

// The response on its way: its head is read from the backend, judged, and written anew; its body
// follows as fast as the client takes it.
namespace regrow::serve {
namespace {

constexpr int kRounds = 16;  // as for requests
constexpr int kMaxInterims = 16;
constexpr size_t kMaxInterimBytes =
    16 * 1024;  // with a final head behind it, it still fits a block
constexpr http::HeadLimits kLimits{.head_bytes = kMaxHeadBytes};

}  // namespace

void Exchange::onUpstreamEvent(short what) {
    if (state_ == State::tunnelling) return pumpTunnel();
    if ((what & EV_WRITE) && connected() && (request_at_ < request_.size() || !body_.out().empty()))
        pumpRequest();
    if (!connection_ || !connection_->readable) return;
    if (state_ == State::awaiting) return readResponse();
    if (state_ == State::relaying && session_->flushed()) pumpResponse();
}

void Exchange::readResponse() {
    while (state_ == State::awaiting && connection_) {
        UpstreamConnection& c = *connection_;
        const size_t before = c.in.size();
        switch (c.fill(worker_.buffers)) {
            case Endpoint::Filled::bytes:
                shard().bytes_in.add(c.in.size() - before);
                if (parseResponse()) return;
                break;
            case Endpoint::Filled::dry:
                if (c.in.empty()) c.in.release(worker_.buffers);
                return;
            case Endpoint::Filled::full: return badAnswer("the head is too large");
            case Endpoint::Filled::end:
            case Endpoint::Filled::failed: return upstreamGone();
        }
    }
}

bool Exchange::parseResponse() {
    while (!connection_->in.empty()) {
        UpstreamConnection& c = *connection_;
        if (!c.head) {
            c.head = &worker_.response_heads.take();
            c.head->clear();
        }
        const http::ParseResult result = c.parser.parse(c.in.view(), *c.head, kLimits);
        if (result.outcome == http::Outcome::need_more) return false;
        if (result.outcome == http::Outcome::error) {
            badAnswer(http::textOf(result.flaw));
            return true;
        }
        c.in.consume(result.bytes);
        c.parser.reset();
        http::ResponseHead& head = *std::exchange(c.head, nullptr);
        const bool final = takeHead(head);
        worker_.response_heads.giveBack(head);
        if (final) return true;
    }
    return false;
}

// Not what any client can have for the asking: a method, a version or a method of login that the
// server does not know, and its quota for one of them.
bool speaksOfHealth(uint16_t status) {
    return status != 501 && status != 505 && status != 507 && status != 511;
}

// False: an interim head, another one follows.
bool Exchange::takeHead(const http::ResponseHead& head) {
    queue_->onAnswer();
    if (head.interim()) {
        if (++interims_ > kMaxInterims) {
            badAnswer("too many interim responses");
            return true;
        }
        forwardInterim(head);
        return state_ != State::awaiting;
    }
    if (head.status == 101) {
        startTunnel(head);
        return true;
    }
    upstream_time_ = worker_.now() - attempt_at_;
    shard().latency.record(upstream_time_);
    if (head.status >= 500) {
        shard().status_5xx.add();
        if (speaksOfHealth(head.status))
            observe(Observation::Kind::status_5xx, "answered with a 5xx status");
        if (retryStatus(head.status)) return true;
    }
    beginResponse(head);
    return true;
}

// Informational by definition: an old client does not get it, and one that does not read loses
// nothing it needs.
void Exchange::forwardInterim(const http::ResponseHead& head) {
    if (head.status == 100) {
        expecting_ = false;
        if (!body_.received()) session_->armSilence();
    }
    if (version_ == http::Version::http10 || !session_->flushed()) return;
    proxy::HeadWriter out = worker_.headWriter(kMaxInterimBytes);
    proxy::writeResponseHead(out, head,
                             {.method = method_,
                              .client = version_,
                              .keep_alive = true,
                              .date = {},
                              .via_name = worker_.proxyName()});
    if (out.full()) return;
    std::string_view no_body;
    if (session_->send(out.text(), no_body) == ClientSession::Sent::failed) cancel(Cause::client);
}

void Exchange::beginResponse(const http::ResponseHead& head) {
    const http::Body down = proxy::downstreamBody(head, method_, version_);
    // A client still sending a body that nobody wants to read is told to stop.
    const bool unwanted = !body_.received() && (head.status >= 400 || expecting_);
    keep_ = keep_ && !unwanted && down.kind != http::BodyKind::until_close && !worker_.draining() &&
            worker_.listener(session_->listenerSlot());
    upstream_keeps_ = head.keep_alive;
    proxy::HeadWriter out = worker_.headWriter();
    proxy::writeResponseHead(out, head,
                             {.method = method_,
                              .client = version_,
                              .keep_alive = keep_,
                              .date = worker_.date(),
                              .via_name = worker_.proxyName()});
    if (out.full()) return badAnswer("the head is too large");
    response_.begin(head.bodyFor(method_), down.kind == http::BodyKind::chunked);
    cut_shows_ = down.kind != http::BodyKind::until_close;
    if (!response_.transform(connection_->in)) return badAnswer(http::textOf(response_.flaw()));

    status_ = head.status;
    cause_ = Cause::none;
    answered_ = true;
    state_ = State::relaying;
    armDeadline(pool_->timeouts.idle);
    std::string_view body = response_.out();
    const size_t whole = body.size();
    if (!session_->flushed()) {  // an interim head is still waiting to be read: this one lines up
                                 // behind it
        session_->sendLater(out.text());
        return pumpResponse();
    }
    const auto sent = session_->send(out.text(), body);
    if (sent == ClientSession::Sent::failed) return cancel(Cause::client);
    response_.sent(whole - body.size());
    sent_to_client_ += whole - body.size();
    if (sent == ClientSession::Sent::blocked) return clientBlocked();
    pumpResponse();
}

// The backend is not to blame for the silence while it is the client that does not read.
void Exchange::clientBlocked() {
    session_->armSilence();
    deadline_.clear();
}

void Exchange::pumpResponse() {
    for (int round = 0; round < kRounds; ++round) {
        if (const auto flushed = session_->flush(); flushed != ClientSession::Sent::all)
            return flushed == ClientSession::Sent::failed ? cancel(Cause::client) : clientBlocked();
        if (state_ != State::relaying) return;
        if (!response_.out().empty()) {
            std::string_view body = response_.out();
            const size_t whole = body.size();
            const auto sent = session_->send({}, body);
            if (sent == ClientSession::Sent::failed) return cancel(Cause::client);
            response_.sent(whole - body.size());
            sent_to_client_ += whole - body.size();
            if (sent == ClientSession::Sent::blocked) return clientBlocked();
            if (body_.received()) session_->clearSilence();
        }
        if (response_.ended()) return responseEnded();
        if (!receiveResponse()) return;
    }
    worker_.resumeLater(*this);
}

// True when there is more to pass on.
bool Exchange::receiveResponse() {
    UpstreamConnection& c = *connection_;
    const size_t before = c.in.size();
    switch (c.fill(worker_.buffers)) {
        case Endpoint::Filled::bytes: break;
        case Endpoint::Filled::dry:
            if (c.in.empty()) c.in.release(worker_.buffers);
            if (body_.received()) session_->clearSilence();
            if (!deadline_.armed()) armDeadline(pool_->timeouts.idle);
            return false;
        case Endpoint::Filled::full: truncated(Cause::backend_bad_answer); return false;
        case Endpoint::Filled::end:
            if (response_.closed()) return true;
            [[fallthrough]];
        case Endpoint::Filled::failed: truncated(Cause::backend_reset); return false;
    }
    shard().bytes_in.add(c.in.size() - before);
    armDeadline(pool_->timeouts.idle);
    if (response_.transform(c.in)) return true;
    truncated(Cause::backend_bad_answer);
    return false;
}

void Exchange::responseEnded() {
    if (connection_) {
        shard().responses.add();
        shard().in_flight.sub();
        if (status_ < 500) observeSuccess();  // whole, not only its head
        UpstreamConnection& c = *std::exchange(connection_, nullptr);
        const bool request_out = body_.ended() && request_at_ == request_.size() && !send_broken_;
        if (upstream_keeps_ && request_out)
            worker_.upstreams.keep(c);
        else
            worker_.upstreams.discard(c);
        if (!queue_->empty()) worker_.pumpSoon();
    }
    if (!body_.received()) keep_ = false;
    finish();
}

// The head is out, the rest will not come: the client must be able to see that. A length or chunks
// show it by ending early; a body that lasts until close needs a reset.
void Exchange::truncated(Cause cause) {
    cause_ = cause;
    if (connection_ && cause == Cause::backend_reset) {
        shard().resets.add();
        observe(Observation::Kind::reset, "closed in the middle of a response");
    }
    if (connection_ && cause == Cause::backend_bad_answer) {
        shard().bad_answers.add();
        observe(Observation::Kind::bad_answer, "broke the framing of a body");
    }
    if (connection_ && cause == Cause::backend_timeout)
        observe(Observation::Kind::no_first_byte, "silent in the middle of a response");
    keep_ = false;
    if (cut_shows_)
        session_->close();
    else
        session_->abort();
    finish();
}

void Exchange::badAnswer(std::string_view what) {
    shard().bad_answers.add();
    observe(Observation::Kind::bad_answer, what);
    attemptFailed(Trouble::bad_answer);
}

// Closed or failed before a whole head. On a reused connection without a single byte of an answer
// the backend closed it while it was idle, and our request crossed its end of file.
void Exchange::upstreamGone() {
    UpstreamConnection& c = *connection_;
    if (c.answered > 0 && c.in.empty() && interims_ == 0) return attemptFailed(Trouble::stale);
    shard().resets.add();
    observe(Observation::Kind::reset,
            c.in.empty() ? "closed without an answer" : "closed in the middle of a head");
    attemptFailed(Trouble::reset);
}

}  // namespace regrow::serve
