#include "proxy/http/error_response.h"
#include "proxy/serve/client_session.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/worker.h"

// The request on its way: from the client into the stored block, from there to the backend, and
// past it once it is full.
namespace regrow::serve {
namespace {

// After this many reads without a pause others get their turn: 1.5 MiB, some 0.5 ms.
constexpr int kRounds = 16;

}  // namespace

void Exchange::pumpRequest() {
    for (int round = 0; round < kRounds; ++round) {
        if (connected() && request_at_ < request_.size() && !sendStored()) return;
        if (!body_.out().empty()) {
            if (!sendStreamed()) return;
            continue;
        }
        if (body_.ended()) return requestSent();
        if (send_broken_ || !receiveBody()) return;
    }
    worker_.resumeLater(*this);
}

// True when all that is stored has been taken by the backend.
bool Exchange::sendStored() {
    const net::IoResult r = connection_->transport.send(request_.view().substr(request_at_));
    if (r.kind == net::IoResult::Kind::failed) {
        // It may have answered before it stopped listening. Reading tells.
        send_broken_ = true;
        connection_->readable = true;
        readResponse();
        return false;
    }
    request_at_ += r.bytes;
    requestTaken(r.bytes);
    return request_at_ == request_.size();
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
    if (!connected() || request_at_ < request_.size()) return false;
    const net::IoResult r = connection_->transport.send(body_.out());
    if (r.kind == net::IoResult::Kind::failed) {
        send_broken_ = true;
        connection_->readable = true;
        readResponse();
        return false;
    }
    body_.sent(r.bytes);
    streamed_ = streamed_ || r.bytes > 0;
    requestTaken(r.bytes);
    return body_.out().empty();
}

void Exchange::requestTaken(size_t bytes) {
    if (bytes == 0) return;
    shard().bytes_out.add(bytes);
    if (state_ == State::awaiting) armDeadline(pool_->timeouts.first_byte);
    if (attempt_sent_) return;
    attempt_sent_ = true;
    attempt_at_ = worker_.now();
    ++sends_;
    if (wait.number != 0 && !std::exchange(wait.counted, true)) stats_->released.add();
}

// True when there is more to pass on.
bool Exchange::receiveBody() {
    switch (session_->fill(worker_.buffers)) {
        case Endpoint::Filled::bytes:
            expecting_ = false;
            if (!awaitsReader()) session_->clearSilence();
            break;
        case Endpoint::Filled::dry:
            if (session_->in.empty()) session_->in.release(worker_.buffers);
            if (expecting_) return false;  // it is the backend's turn to speak
            if (!awaitsReader()) session_->armSilence();
            if (state_ == State::awaiting) deadline_.clear();
            return false;
        case Endpoint::Filled::full:
        case Endpoint::Filled::end:
        case Endpoint::Filled::failed: cancel(Cause::client); return false;
    }
    if (body_.transform(session_->in)) return true;
    if (answered_)
        cancel(Cause::client);
    else
        respond(400, Cause::client, http::textOf(body_.flaw()));
    return false;
}

// The client does not take the response. The deadline on its silence is then the only one left, and
// nothing that it sends may lift it.
bool Exchange::awaitsReader() const {
    return state_ == State::relaying && (!session_->flushed() || !response_.out().empty());
}

void Exchange::requestSent() {
    if (session_->flushed() && !awaitsReader()) session_->clearSilence();
    if (state_ == State::awaiting && connected()) armDeadline(pool_->timeouts.first_byte);
}

}  // namespace regrow::serve
