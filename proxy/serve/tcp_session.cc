#include "proxy/serve/tcp_session.h"

#include "proxy/balance/key_hash.h"
#include "proxy/net/ends.h"
#include "proxy/serve/turn.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {

void TcpSession::open(UniqueFd fd, const Address& peer, uint32_t listener_slot,
                      const ClientEnds* relayed) {
    Endpoint::reset();
    connection_ = nullptr;
    listener_slot_ = listener_slot;
    pool_ = nullptr;
    stats_ = nullptr;
    queue_ = nullptr;
    tried_.clear();
    detail_ = {};
    cause_ = Cause::none;
    connect_time_ = {};
    to_client_ = to_backend_ = 0;
    last_slot_ = UINT32_MAX;
    attempts_ = tries_ = 0;
    client_done_ = backend_done_ = false;
    wait = {};
    key_ = {};
    state_ = State::starting;
    started_ = worker_.now();
    relayed_ = relayed ? std::make_unique<ClientEnds>(*relayed) : nullptr;
    identity_ = proxy::ClientIdentity(relayed ? relayed->source : peer, false,
                                      worker_.trustOf(listener_slot));
    transport.adopt(std::move(fd));
    watch.start(
        worker_.base(), transport.fd(),
        [](evutil_socket_t, short what, void* self) {
            static_cast<TcpSession*>(self)->onEvents(what);
        },
        static_cast<TcpSession*>(this));

    const ListenerView* listener = worker_.listener(listener_slot);
    if (!listener) return abort(Cause::limit, "this address is no longer served");
    worker_.shardOf(*listener).requests.add();
    view_ = worker_.currentView();
    pool_ = &view_->pools[listener->pool];
    queue_ = &worker_.queue(pool_->slot);
    stats_ = &pool_->stats->shards[static_cast<size_t>(worker_.index())];
    stats_->requests.add();
    if (pool_->balance == conf::Balance::hash) key_.hash = hashOf(identity_.key());
    dispatch();
}

bool TcpSession::clientEnds(ClientEnds& ends) const {
    if (!relayed_) return net::socketEnds(transport.fd(), ends);
    ends = *relayed_;
    return true;
}

void TcpSession::onEvents(short what) {
    note(what);
    switch (state_) {
        case State::relaying: return pump();
        case State::waiting:
        case State::connecting: return watchLeaving();
        case State::starting:
        case State::closed: return;
    }
}

// One that said its piece and ended its side waits for the answer; one that leaves without a word,
// or resets, gives up its place.
void TcpSession::watchLeaving() {
    if (!fin) return;
    const auto unread = transport.peek().kind;
    if (unread == net::IoResult::Kind::closed || unread == net::IoResult::Kind::failed)
        abort(Cause::client, "the client left before it was served");
}

void TcpSession::onDeadline() {
    switch (state_) {
        case State::waiting:
            stats_->hold_expired.add();
            return abort(Cause::held_expired, "no backend became available in time");
        case State::connecting: return connectFailed(ETIMEDOUT);
        case State::relaying: return abort(Cause::limit, "silent for timeouts.tunnel");
        case State::starting:
        case State::closed: return;
    }
}

void TcpSession::onUpstreamEvent(BackendStream&, bool, bool) {
    if (state_ == State::relaying) pump();
}

void TcpSession::onResume() {
    if (state_ == State::relaying) pump();
}

void TcpSession::armSilence() {
    worker_.deadlines.set(deadline_, worker_.now() + pool_->timeouts.tunnel);
}

void TcpSession::pump() {
    BackendShard& shard = *connection_->place->shard;
    const uint64_t up_before = to_backend_, down_before = to_client_;
    const Flow up = pumpFlow(*this, *connection_, client_done_, to_backend_);
    const Flow down = pumpFlow(*connection_, *this, backend_done_, to_client_);
    shard.bytes_out.add(to_backend_ - up_before);
    shard.bytes_in.add(to_client_ - down_before);
    if (up == Flow::from_failed || down == Flow::to_failed)
        return abort(Cause::client, "the client reset the connection");
    if (up == Flow::to_failed || down == Flow::from_failed) {
        shard.resets.add();
        return abort(Cause::backend_reset, "the backend reset the connection");
    }
    if (client_done_ && backend_done_) {
        shard.responses.add();
        return finish();
    }
    if (to_backend_ != up_before || to_client_ != down_before) armSilence();
    if (up == Flow::yield || down == Flow::yield) worker_.resumeLater(*this);
}

// Nothing is read while what was read before has not been taken: a slow reader stops the sender.
TcpSession::Flow TcpSession::pumpFlow(Endpoint& from, Endpoint& to, bool& finished,
                                      uint64_t& moved) {
    for (Turn turn; !finished && turn.goesOn(moved);) {
        if (!from.in.empty()) {
            const net::IoResult sent = to.transport.send(from.in.view());
            if (sent.kind == net::IoResult::Kind::failed) return Flow::to_failed;
            from.in.consume(sent.bytes);
            moved += sent.bytes;
            if (!from.in.empty()) return Flow::blocked;
        }
        switch (from.fill(worker_.buffers)) {
            case Filled::bytes: from.lookAgain(); break;
            case Filled::dry: from.in.release(worker_.buffers); return Flow::blocked;
            case Filled::end:
                from.in.release(worker_.buffers);
                to.transport.shutdownSend();
                finished = true;
                break;
            case Filled::full:
            case Filled::failed: return Flow::from_failed;
        }
    }
    return finished ? Flow::ended : Flow::yield;
}

void TcpSession::end() {
    abort(Cause::limit, "the proxy is stopping");
}

void TcpSession::abort(Cause cause, std::string_view detail) {
    if (state_ == State::closed) return;
    cause_ = cause;
    detail_ = detail;
    if (stats_ && cause == Cause::client) stats_->client_aborts.add();
    if (stats_ && cause != Cause::client && !connection_) stats_->errors.add();
    dropConnection(true);
    watch.stop();
    transport.abort();
    finish();
}

void TcpSession::dropConnection(bool reset) {
    if (!connection_) return;
    connection_->place->ended();
    UpstreamConnection& c = *std::exchange(connection_, nullptr);
    if (reset)
        worker_.upstreams.abort(c);
    else
        worker_.upstreams.discard(c);
}

void TcpSession::finish() {
    if (state_ == State::closed) return;
    if (queue_) queue_->remove(*this);
    state_ = State::closed;
    deadline_.clear();
    Link<InResume>::unlink();
    dropConnection(false);
    shut(worker_.buffers);
    log();
    if (queue_ && !queue_->empty()) worker_.pumpSoon();  // its place is free
    view_ = ViewRef();
    Link<InWorker>::unlink();
    worker_.connectionClosed(*this);
}

void TcpSession::log() {
    if (!worker_.access_log.on()) return;
    const Place* place = last_slot_ == UINT32_MAX ? nullptr : worker_.upstreams.place(last_slot_);
    worker_.access_log.addTcp(
        {.client = identity_.ip(),
         .bytes = to_client_,
         .received = to_backend_,
         .duration = worker_.now() - started_,
         .pool = pool_ ? std::string_view(pool_->name) : std::string_view(),
         .backend = place ? std::string_view(place->name) : std::string_view(),
         .connect = connect_time_,
         .retries = attempts_ > 1 ? attempts_ - 1 : 0,
         .held = wait.total,
         .why = cause_,
         .detail = detail_});
}

void TcpSession::recycle() {
    worker_.tcp_sessions.giveBack(*this);
}

}  // namespace regrow::serve
