#include "proxy/http/error_response.h"
#include "proxy/serve/client_stream.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/turn.h"
#include "proxy/serve/worker.h"

// The request on its way: from the client into the stored block, from there to the backend, and
// past it once it is full.
namespace regrow::serve {

void Exchange::pumpRequest() {
    for (Turn turn; turn.goesOn(body_.payloadBytes());) {
        if (canSend() && attempt_.request_at < request_.size() && !sendStored()) return;
        if (!body_.out().empty()) {
            if (!sendStreamed()) return;
            continue;
        }
        if (body_.ended()) return requestSent();
        if (attempt_.send_broken || !receiveBody()) return;
    }
    worker_.resumeLater(*this);
}

// True when all that is stored has been taken by the backend.
bool Exchange::sendStored() {
    const net::IoResult r = attempt_.stream->send(request_.view().substr(attempt_.request_at));
    if (r.kind == net::IoResult::Kind::failed) return sendFailed(), false;
    attempt_.request_at += r.bytes;
    requestTaken(r.bytes);
    return attempt_.request_at == request_.size() || backendBlocked();
}

// It takes no more for now, and the client cannot do anything about that.
bool Exchange::backendBlocked() {
    if (!awaitsReader()) letClientBe();
    return false;
}

// It may have answered before it stopped listening. Reading tells.
void Exchange::sendFailed() {
    attempt_.send_broken = true;
    readResponse();
}

// What the client sent goes into the block while there is room (and nothing has gone past it), else
// straight on. False: it has to wait, and with it the client.
bool Exchange::sendStreamed() {
    if (!overflowed_ && body_.out().size() <= request_.room()) {
        request_.append(body_.out());
        body_.sent(body_.out().size());
        return true;
    }
    overflowed_ = true;
    if (!canSend() || attempt_.request_at < request_.size()) return backendBlocked();
    const net::IoResult r = attempt_.stream->send(body_.out());
    if (r.kind == net::IoResult::Kind::failed) return sendFailed(), false;
    body_.sent(r.bytes);
    if (r.bytes > 0 && !std::exchange(streamed_, true))
        client_->readBulk(attempt_.stream->takesBulk());
    requestTaken(r.bytes);
    return body_.out().empty() || backendBlocked();
}

void Exchange::requestTaken(size_t bytes) {
    if (bytes == 0) return;
    shard().bytes_out.add(bytes);
    if (state_ == State::awaiting) armDeadline(firstByte());
    if (attempt_.sent) return;
    attempt_.sent = true;
    attempt_.began = worker_.now();
    ++sends_;
    if (wait.number != 0 && !std::exchange(wait.counted, true)) stats_->released.add();
}

// True when there is more to pass on.
bool Exchange::receiveBody() {
    switch (client_->fill()) {
        case Endpoint::Filled::bytes:
            expecting_ = false;
            // Of unknown length it may be a conversation, in which a little now and then is all.
            if (!awaitsReader() && (!declared_ || pace_.fair(movedByClient()))) letClientBe();
            break;
        case Endpoint::Filled::dry:
            if (client_->body_in.empty()) client_->releaseInput();
            if (expecting_) return false;  // it is the backend's turn to speak
            if (!awaitsReader()) awaitClient();
            if (state_ == State::awaiting) deadline_.clear();
            return false;
        case Endpoint::Filled::end:
            if (body_.closed(client_->body_in, client_->trailers())) return true;
            [[fallthrough]];
        case Endpoint::Filled::full:
        case Endpoint::Filled::failed: cancel(Cause::client); return false;
    }
    if (body_.transform(client_->body_in)) {
        if (!body_.received()) client_->lookAgain();
        return !route_ || !bodyTooLarge();
    }
    if (answered_)
        cancel(Cause::client);
    else
        respond(http::statusOf(body_.flaw()), Cause::client, http::textOf(body_.flaw()));
    return false;
}

// The client does not take the response. The deadline on its silence is then the only one left, and
// nothing that it sends may lift it.
bool Exchange::awaitsReader() const {
    return state_ == State::relaying && (!client_->flushed() || !responseOut().empty());
}

void Exchange::awaitClient() {
    if (pace_.waits(movedByClient())) client_->armSilence();
}

void Exchange::letClientBe() {
    pace_.rest();
    client_->clearSilence();
}

void Exchange::requestSent() {
    if (client_->flushed() && !awaitsReader()) letClientBe();
    if (state_ != State::awaiting || !canSend()) return;
    armDeadline(firstByte());
    owed();
}

}  // namespace regrow::serve
