#include "proxy/serve/client_session.h"

#include <algorithm>

#include "proxy/net/ends.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {
namespace {

// After an error the client may still be sending what it was refused: closing at once would answer
// that with a reset, and the reset would overtake our answer.
constexpr Duration kLinger = std::chrono::seconds(2);
constexpr Duration kDrainGrace = std::chrono::seconds(1);
constexpr uint32_t kLingerBytes = 4 << 20;
constexpr size_t kMaxInterimBytes =
    16 * 1024;  // with a final head behind it, it still fits a block

// RFC 9113 3.4: what an HTTP/2 client says first. No HTTP/1 request begins like it.
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

constexpr http::HeadLimits kLimits{.head_bytes = kMaxHeadBytes};

}  // namespace

void ClientSession::open(UniqueFd fd, const Address& peer, uint32_t listener_slot,
                         const ClientEnds* relayed) {
    Endpoint::reset();
    listener_slot_ = listener_slot;
    discarded_ = 0;
    in_head_ = false;
    first_ = true;
    state_ = State::reading;
    relayed_ = relayed ? std::make_unique<ClientEnds>(*relayed) : nullptr;
    identity_ = proxy::ClientIdentity(relayed ? relayed->source : peer,
                                      worker_.tlsOf(listener_slot) != nullptr,
                                      worker_.trustOf(listener_slot));
    transport.adopt(std::move(fd));
    watch.start(worker_.base(), transport.fd(), onEvent, this);
    // The first request has as long as its head may take: a client that connects and says nothing
    // is not idle between two.
    worker_.deadlines.set(deadline_, worker_.now() + timeouts().header);
    if (const auto& tls = worker_.tlsOf(listener_slot)) [[unlikely]]
        beginTls(tls);
}

bool ClientSession::ends(ClientEnds& ends) const {
    if (!relayed_) return net::socketEnds(transport.fd(), ends);
    ends = *relayed_;
    return true;
}

const conf::ListenerTimeouts& ClientSession::timeouts() const {
    return worker_.timeoutsOf(listener_slot_);
}

void ClientSession::close() {
    if (state_ == State::closed) return;
    state_ = State::closed;
    shut(worker_.buffers);
    out_.release(worker_.buffers);
    returnHead();
    deadline_.clear();
    exchange_ = nullptr;
    Link<InWorker>::unlink();
    worker_.connectionClosed(*this);
}

void ClientSession::abort() {
    if (state_ == State::closed) return;
    watch.stop();
    transport.abort();
    close();
}

// A length or chunks show by ending early that something is missing; a body that lasts until close
// needs a reset.
void ClientSession::cut(bool shows) {
    if (shows)
        close();
    else
        abort();
}

void ClientSession::recycle() {
    worker_.sessions.giveBack(*this);
}

void ClientSession::end() {
    if (state_ == State::busy)
        exchange_->cancel(Cause::limit);
    else
        close();
}

void ClientSession::closeWhenIdle() {
    if (!idle() && state_ != State::shaking) return;
    if (!first_) return close();
    // It came out of the backlog just now, and its request is probably on the way.
    worker_.deadlines.set(deadline_, worker_.now() + kDrainGrace);
}

void ClientSession::onEvents(short what) {
    note(what);
    switch (state_) {
        case State::shaking: shake(); return;
        case State::reading: run(); return;
        case State::busy:
            if (what & EV_WRITE) exchange_->onClientWritable();
            if (state_ == State::busy && exchange_ && (what & (EV_READ | EV_CLOSED)))
                exchange_->onClientReadable((what & EV_CLOSED) != 0);
            return;
        case State::lingering: discardInput(); return;
        case State::closed: return;
    }
}

void ClientSession::run() {
    if (running_) return;  // an exchange that ended at once: the loop below goes on
    running_ = true;
    while (state_ == State::reading && readRequest()) continue;
    running_ = false;
}

bool ClientSession::readRequest() {
    if (!in.empty() && parse()) return true;
    while (state_ == State::reading) {
        switch (fill()) {
            case Filled::bytes:
                if (parse()) return true;
                break;
            case Filled::dry: waitForRequest(); return false;
            case Filled::full: refuse(431, "the head is too large"); return false;
            case Filled::end:
            case Filled::failed: close(); return false;
        }
    }
    return false;
}

// True when the bytes at hand led to something: a request, or a refusal.
bool ClientSession::parse() {
    if (first_ && worker_.speaksH2c(listener_slot_)) {
        const std::string_view start = in.view().substr(0, kPreface.size());
        if (start == kPreface) return worker_.becomeHttp2(*this), true;
        if (kPreface.starts_with(start)) return false;
    }
    if (!reading_) {
        reading_ = &worker_.head_readers.take();
        reading_->parser.reset();
        reading_->head.clear();
    }
    const http::ParseResult result = reading_->parser.parse(in.view(), reading_->head, kLimits);
    switch (result.outcome) {
        case http::Outcome::need_more: return false;
        case http::Outcome::error:
            refuse(http::statusOf(result.flaw), http::textOf(result.flaw));
            return true;
        case http::Outcome::done: break;
    }
    in.consume(result.bytes);
    startExchange();
    return true;
}

void ClientSession::startExchange() {
    deadline_.clear();
    in_head_ = first_ = false;
    state_ = State::busy;
    exchange_ = &worker_.exchanges.take(worker_);
    HeadReader& lent = *std::exchange(reading_, nullptr);
    exchange_->begin(*this, lent.head);
    worker_.head_readers.giveBack(lent);
}

void ClientSession::refuse(uint16_t status, std::string_view detail) {
    deadline_.clear();
    returnHead();
    state_ = State::busy;
    exchange_ = &worker_.exchanges.take(worker_);
    exchange_->refuse(*this, status, detail);
}

void ClientSession::returnHead() {
    if (reading_) worker_.head_readers.giveBack(*std::exchange(reading_, nullptr));
}

void ClientSession::waitForRequest() {
    if (in.empty()) {
        in.release(worker_.buffers);
        returnHead();
        if (worker_.draining() && !first_) return close();
        if (!first_) worker_.deadlines.set(deadline_, worker_.now() + timeouts().idle);
        return;
    }
    if (in_head_) return;  // from its first byte a head has a fixed time, however it trickles in
    in_head_ = true;
    if (!first_) worker_.deadlines.set(deadline_, worker_.now() + timeouts().header);
}

void ClientSession::onDeadline() {
    switch (state_) {
        case State::shaking: return shakeFailed("it took too long");
        case State::reading:
            if (in.empty()) return close();
            return refuse(408, "the request's head took too long");
        case State::busy:
            if (Pace::drained(queued_, transport.queued())) return armSilence();
            return exchange_->onClientDeadline();
        case State::lingering: return close();
        case State::closed: return;
    }
}

ClientSession::Filled ClientSession::fill() {
    return Endpoint::fill(worker_.buffers);
}

void ClientSession::releaseInput() {
    in.release(worker_.buffers);
}

bool ClientSession::gone() {
    return transport.peek().kind == net::IoResult::Kind::failed;
}

ClientSession::Sent ClientSession::sendHead(const http::ResponseHead& head,
                                            const proxy::ResponseForward& how,
                                            std::string_view& body, bool) {
    proxy::HeadWriter out = worker_.headWriter();
    proxy::writeResponseHead(out, head, how);
    if (out.full()) return Sent::too_large;
    if (flushed()) return send(out.text(), body);
    sendLater(out.text());  // behind an interim head that is still waiting to be read
    return Sent::blocked;
}

ClientSession::Sent ClientSession::sendInterim(const http::ResponseHead& head,
                                               const proxy::ResponseForward& how) {
    if (how.client == http::Version::http10 || !flushed()) return Sent::all;
    proxy::HeadWriter out = worker_.headWriter(kMaxInterimBytes);
    proxy::writeResponseHead(out, head, how);
    std::string_view no_body;
    return out.full() ? Sent::all : send(out.text(), no_body);
}

ClientSession::Sent ClientSession::sendError(const proxy::ErrorResponse& response,
                                             uint64_t& body_bytes) {
    proxy::HeadWriter out = worker_.headWriter();
    proxy::writeErrorResponse(out, response);
    const std::string_view text = out.text();
    body_bytes = text.size() - std::min(text.size(), text.find("\r\n\r\n") + 4);
    std::string_view no_body;
    return send(text, no_body);
}

ClientSession::Sent ClientSession::send(std::string_view head, std::string_view& body) {
    iovec parts[2] = {{const_cast<char*>(head.data()), head.size()},
                      {const_cast<char*>(body.data()), body.size()}};
    const bool with_head = !head.empty();
    const net::IoResult r = with_head && !body.empty() ? transport.send(parts, 2)
                                                       : transport.send(with_head ? head : body);
    if (r.kind == net::IoResult::Kind::failed) return Sent::failed;
    const size_t of_head = std::min(r.bytes, head.size());
    body.remove_prefix(r.bytes - of_head);
    head.remove_prefix(of_head);
    if (!head.empty()) sendLater(head);
    return head.empty() && body.empty() ? Sent::all : Sent::blocked;
}

void ClientSession::sendLater(std::string_view head) {
    out_.ensure(worker_.buffers);
    out_.append(head);
}

ClientSession::Sent ClientSession::flush() {
    if (out_.empty()) return Sent::all;
    const net::IoResult r = transport.send(out_.view());
    if (r.kind == net::IoResult::Kind::failed) return Sent::failed;
    out_.consume(r.bytes);
    if (!out_.empty()) return Sent::blocked;
    out_.release(worker_.buffers);
    return Sent::all;
}

void ClientSession::armSilence() {
    queued_ = transport.queued();
    worker_.deadlines.set(deadline_, worker_.now() + timeouts().body);
}

void ClientSession::exchangeEnded(bool keep, bool whole) {
    exchange_ = nullptr;
    bulk = false;
    deadline_.clear();
    if (state_ != State::busy) return;
    state_ = State::reading;
    if (!keep) return whole && drained() ? close() : linger();
    run();
}

void ClientSession::linger() {
    state_ = State::lingering;
    transport.shutdownSend();
    worker_.deadlines.set(deadline_, worker_.now() + kLinger);
    discardInput();
}

void ClientSession::discardInput() {
    while (state_ == State::lingering) {
        discarded_ += static_cast<uint32_t>(in.size());
        in.consume(in.size());
        if (discarded_ > kLingerBytes) return close();
        const Filled filled = fill();
        if (filled == Filled::dry) return in.release(worker_.buffers);
        if (filled != Filled::bytes) return close();
    }
}

}  // namespace regrow::serve
