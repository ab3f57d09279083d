#include <algorithm>

#include "proxy/http/error_response.h"
#include "proxy/serve/client_stream.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/turn.h"
#include "proxy/serve/worker.h"

// The response on its way: its head is read from the backend, judged, and written anew; its body
// follows as fast as the client takes it.
namespace regrow::serve {

void Exchange::onUpstreamEvent(BackendStream& from, bool readable, bool writable) {
    if (&from == second_.stream) return onSecondEvent(readable, writable);
    if (state_ == State::tunnelling) return pumpTunnel();
    if (writable && canSend() && (attempt_.request_at < request_.size() || !body_.out().empty()))
        pumpRequest();
    if (!readable || attempt_.stream != &from) return;
    if (state_ == State::awaiting) return readResponse();
    if (state_ == State::relaying && client_->flushed()) pumpResponse();
}

void Exchange::readResponse() {
    bool final = false;
    while (!final && state_ == State::awaiting && attempt_.stream) {
        http::ResponseHead* head = nullptr;
        const BackendStream::Answer answer = attempt_.stream->readHead(head);
        switch (answer) {
            case BackendStream::Answer::none: return;
            case BackendStream::Answer::head:
                final = takeHead(*head);
                worker_.response_heads.giveBack(*head);
                break;
            case BackendStream::Answer::bad: return badAnswer(attempt_.stream->trouble);
            case BackendStream::Answer::gone:
            case BackendStream::Answer::stale: return upstreamGone(answer);
        }
    }
}

// Not what any client can have for the asking: a method, a version or a method of login that the
// server does not know, and its quota for one of them.
bool Exchange::speaksOfHealth(uint16_t status) {
    return status != 501 && status != 505 && status != 507 && status != 511;
}

// False: an interim head, another one follows.
bool Exchange::takeHead(http::ResponseHead& head) {
    queue_->onAnswer();
    if (head.interim()) {
        attempt_.stream->place->silence.heard(worker_.now());
        if (++interims_ > kMostInterims) {
            badAnswer("too many interim responses");
            return true;
        }
        forwardInterim(head);
        return state_ != State::awaiting;
    }
    owedNoMore(attempt_);
    if (head.status < 500) queue_->onServed(worker_.now());
    if (head.status == 101) {
        startTunnel(head);
        return true;
    }
    upstream_time_ = worker_.now() - attempt_.began;
    shard().latency.record(upstream_time_);
    queue_->answered(*attempt_.stream->place, upstream_time_);
    if (head.status >= 500) {
        shard().status_5xx.add();
        if (speaksOfHealth(head.status))
            observe(Observation::Kind::status_5xx, "answered with a 5xx status");
        if (retryStatus(head.status)) return true;
    }
    if (second_.stream) dropSecond();
    beginResponse(head);
    return true;
}

// Informational by definition: an old client does not get it, and one that does not read loses
// nothing it needs.
void Exchange::forwardInterim(const http::ResponseHead& head) {
    if (head.status == 100) {
        expecting_ = false;
        if (!body_.received()) awaitClient();
    }
    const proxy::ResponseForward how{
        .method = method_, .client = version_, .via_name = worker_.proxyName()};
    if (client_->sendInterim(head, how) == ClientStream::Sent::failed) cancel(Cause::client);
}

void Exchange::beginResponse(http::ResponseHead& head) {
    if (route_ && !route_->response.apply(head.fields)) return badAnswer("too many fields");
    http::Body received = head.bodyFor(method_);
    if (!attempt_.stream->framed() && received.kind != http::BodyKind::none)
        received = {.kind = http::BodyKind::until_close};
    dropEncoder();  // of an answer that could not be passed on
    if (pool_->compress.on) considerEncoding(head);
    const http::Body down = proxy::downstreamBody(head, method_, version_);
    // A client still sending a body that nobody wants to read is told to stop.
    const bool unwanted = !body_.received() && (head.status >= 400 || expecting_);
    keep_ = keep_ && !unwanted && down.kind != http::BodyKind::until_close && !worker_.draining() &&
            worker_.listener(client_->listenerSlot());
    attempt_.keeps = head.keep_alive;
    const bool pass_trailers = trailers_wanted_ && !encoder_;
    response_.begin(received,
                    down.kind == http::BodyKind::chunked && client_->framed() && !encoder_,
                    pass_trailers);
    cut_shows_ = down.kind != http::BodyKind::until_close;
    if (!response_.transform(attempt_.stream->body_in))
        return badAnswer(http::textOf(response_.flaw()));
    if (!response_.received() && attempt_.stream->allHere()) response_.endHere();
    if (!response_.received()) attempt_.stream->lookAgain();
    attempt_.stream->readBulk(client_->takesBulk() && !encoder_);

    if (encoder_) encodeResponse(false);
    std::string_view body = responseOut();
    const size_t whole = body.size();
    const bool all_here = encoder_ ? encoder_->ended() : response_.received();
    const auto sent = client_->sendHead(head,
                                        {.method = method_,
                                         .client = version_,
                                         .keep_alive = keep_,
                                         .trailers = pass_trailers,
                                         .date = worker_.date(),
                                         .via_name = worker_.proxyName(),
                                         .set_cookie = affinityCookie()},
                                        body, all_here && response_.trailers().empty());
    if (sent == ClientStream::Sent::too_large) return badAnswer("the head is too large");
    status_ = head.status;
    cause_ = Cause::none;
    answered_ = true;
    state_ = State::relaying;
    armDeadline(idle());
    if (sent == ClientStream::Sent::failed) return cancel(Cause::client);
    responseTaken(whole - body.size());
    if (sent == ClientStream::Sent::blocked) return clientBlocked();
    pumpResponse();
}

// The backend is not to blame for the silence while it is the client that does not read.
void Exchange::clientBlocked() {
    awaitClient();
    deadline_.clear();
}

// It takes what comes, which in a conversation is as good as saying something.
void Exchange::clientTook() {
    if (!body_.received() && declared_) return;
    letClientBe();
    if (!body_.received()) awaitClient();
}

void Exchange::pumpResponse() {
    for (Turn turn; turn.goesOn(response_.payloadBytes());) {
        if (const auto flushed = client_->flush(); flushed != ClientStream::Sent::all)
            return flushed == ClientStream::Sent::failed ? cancel(Cause::client) : clientBlocked();
        if (state_ != State::relaying) return;
        if (encoder_) encodeResponse(false);
        if (!responseOut().empty()) {
            std::string_view body = responseOut();
            const size_t whole = body.size();
            const auto sent = client_->sendBody(body);
            if (sent == ClientStream::Sent::failed) return cancel(Cause::client);
            responseTaken(whole - body.size());
            if (sent == ClientStream::Sent::blocked) return clientBlocked();
            clientTook();
        }
        if (encoder_ ? encoder_->ended() : response_.ended()) return responseEnded();
        if (encoder_ && encoder_->failed()) return truncated(Cause::limit);
        if (encoder_ && !response_.out().empty()) continue;
        if (!receiveResponse()) return;
    }
    worker_.resumeLater(*this);
}

// True when there is more to pass on.
bool Exchange::receiveResponse() {
    BackendStream& backend = *attempt_.stream;
    switch (backend.fill()) {
        case Endpoint::Filled::bytes: break;
        case Endpoint::Filled::dry:
            if (backend.body_in.empty()) backend.releaseInput();
            if (encoder_) encodeResponse(true);
            if (!responseOut().empty()) return true;
            if (body_.received()) letClientBe();
            if (!deadline_.armed()) armDeadline(idle());
            return false;
        case Endpoint::Filled::full: truncated(Cause::backend_bad_answer); return false;
        case Endpoint::Filled::end:
            if (response_.closed(backend.body_in, backend.trailers())) return true;
            [[fallthrough]];
        case Endpoint::Filled::failed: truncated(Cause::backend_reset); return false;
    }
    armDeadline(idle());
    if (!response_.transform(backend.body_in)) return truncated(Cause::backend_bad_answer), false;
    if (!response_.received()) backend.lookAgain();
    return true;
}

void Exchange::responseEnded() {
    if (!client_->framed()) client_->sendTrailers(response_.trailers());
    if (attempt_.stream) {
        shard().responses.add();
        attempt_.stream->place->ended();
        if (status_ < 500) observeSuccess();  // whole, not only its head
        const bool request_out =
            body_.ended() && attempt_.request_at == request_.size() && !attempt_.send_broken;
        std::exchange(attempt_.stream, nullptr)->finish(attempt_.keeps && request_out);
        if (!queue_->empty()) worker_.pumpSoon();
    }
    if (!body_.received()) keep_ = false;
    finish();
}

// The head is out, the rest will not come: the client must be able to see that. A length or chunks
// show it by ending early; a body that lasts until close needs a reset.
void Exchange::truncated(Cause cause) {
    cause_ = cause;
    if (attempt_.stream && cause == Cause::backend_reset) {
        shard().resets.add();
        observe(Observation::Kind::reset, "closed in the middle of a response");
    }
    if (attempt_.stream && cause == Cause::backend_bad_answer) {
        shard().bad_answers.add();
        observe(Observation::Kind::bad_answer, "broke the framing of a body");
    }
    if (attempt_.stream && cause == Cause::backend_timeout)
        observe(Observation::Kind::no_first_byte, "silent in the middle of a response");
    keep_ = false;
    client_->cut(cut_shows_);
    finish();
}

void Exchange::badAnswer(std::string_view what) {
    shard().bad_answers.add();
    observe(Observation::Kind::bad_answer, what);
    attemptFailed(Trouble::bad_answer);
}

// Closed or failed before a whole head. On a kept connection without a single byte of an answer the
// backend closed it while it was idle, and our request crossed its end of file.
void Exchange::upstreamGone(BackendStream::Answer how) {
    if (how == BackendStream::Answer::stale) return attemptFailed(Trouble::stale);
    shard().resets.add();
    observe(Observation::Kind::reset, attempt_.stream->trouble);
    attemptFailed(attempt_.stream->refused() ? Trouble::refused : Trouble::reset);
}

}  // namespace regrow::serve
