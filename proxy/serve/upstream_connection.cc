#include "proxy/serve/upstream_connection.h"

#include <cerrno>

#include "proxy/serve/backend_user.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {
namespace {

constexpr http::HeadLimits kLimits{.head_bytes = kMaxHeadBytes};

}  // namespace

net::IoResult UpstreamConnection::send(std::string_view bytes) {
    const net::IoResult sent = transport.send(bytes);
    if (sent.kind == net::IoResult::Kind::failed) readable = true;
    return sent;
}

UpstreamConnection::Filled UpstreamConnection::fill() {
    const size_t before = in.size();
    const Filled filled = Endpoint::fill(pool_.buffers());
    if (filled == Filled::bytes) place->shard->bytes_in.add(in.size() - before);
    return filled;
}

void UpstreamConnection::releaseInput() {
    in.release(pool_.buffers());
}

UpstreamConnection::Answer UpstreamConnection::readHead(http::ResponseHead*& read) {
    while (true) {
        if (!in.empty()) {
            if (!head) head = &pool_.lendHead();
            const http::ParseResult result = parser.parse(in.view(), *head, kLimits);
            if (result.outcome == http::Outcome::error) return broken(http::textOf(result.flaw));
            if (result.outcome == http::Outcome::done) {
                in.consume(result.bytes);
                parser.reset();
                heard = true;
                read = std::exchange(head, nullptr);
                if (read->interim()) Endpoint::lookAgain();  // more must follow
                return Answer::head;
            }
            Endpoint::lookAgain();
        }
        switch (fill()) {
            case Filled::bytes: break;
            case Filled::dry:
                if (in.empty()) releaseInput();
                return Answer::none;
            case Filled::full: return broken("the head is too large");
            case Filled::end:
            case Filled::failed: return closedEarly();
        }
    }
}

UpstreamConnection::Answer UpstreamConnection::broken(std::string_view why) {
    trouble = why;
    return Answer::bad;
}

UpstreamConnection::Answer UpstreamConnection::closedEarly() {
    trouble = in.empty() ? "closed without an answer" : "closed in the middle of a head";
    return answered > 0 && in.empty() && !heard ? Answer::stale : Answer::gone;
}

void UpstreamConnection::finish(bool whole) {
    bulk = false;
    if (whole)
        pool_.keep(*this);
    else
        pool_.discard(*this);
}

void UpstreamConnection::onEvents(short what) {
    note(what);
    switch (state) {
        case State::connecting: onConnectDone(); return;
        case State::busy: user->onUpstreamEvent(*this, readable, (what & EV_WRITE) != 0); return;
        case State::idle:  // closed, or bytes nobody asked for
            if (!quiet()) pool_.discard(*this);
            return;
        case State::closed: return;
    }
}

void UpstreamConnection::onConnectDone() {
    if (const int failed = transport.connectError(); failed != 0) {
        user->onConnectFailed(*this, failed);
        return;
    }
    if (!introduced) {
        introduced = true;
        if (const int unsaid = pool_.introduce(*this); unsaid != 0)
            return user->onConnectFailed(*this, unsaid);
    }
    if (transport.secured() && !shaken()) return;
    state = State::busy;
    user->onConnected(*this);
}

// False: not yet, or never, which its user has been told.
bool UpstreamConnection::shaken() {
    tls::Stream& stream = *transport.tls();
    switch (stream.handshake()) {
        case tls::Stream::Shake::done:
            readable = true;  // what came with the last flight is decrypted, and no event tells
            return true;
        case tls::Stream::Shake::waiting: return false;
        case tls::Stream::Shake::not_tls:
        case tls::Stream::Shake::failed: break;
    }
    trouble = stream.trouble();
    user->onConnectFailed(*this, EPROTO);
    return false;
}

// Nothing to be read. Over TLS what woke us may have been for the library: a ticket for next time.
bool UpstreamConnection::quiet() {
    if (transport.secured() && readable && in.empty())
        readable = transport.peek().kind != net::IoResult::Kind::would_block;
    return drained() && !end;
}

void UpstreamConnection::onIdleTooLong() {
    pool_.discard(*this);
}

}  // namespace regrow::serve
