#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/serve/retry.h"
#include "proxy/serve/tcp_session.h"
#include "proxy/serve/worker.h"

// Choosing a backend for a TCP session. Nothing has been sent while this goes on, so every failure
// is one of those that retry.h calls unsent.
namespace regrow::serve {
namespace {

constexpr int kUnsentTries = 8;  // as for requests

bool oursAlone(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

void TcpSession::dispatch() {
    if (!queue_->pool()) return abort(Cause::limit, "this pool is no longer served");
    view_ = worker_.currentView();
    pool_ = queue_->pool();
    stats_ = &pool_->stats->shards[static_cast<size_t>(worker_.index())];
    if (wait.number == 0 && attempts_ == 0 && pool_->hold.on && queue_->troubled())
        return enqueue({});
    while (const BackendView* backend = queue_->pick(worker_.now(), tried_, key_))
        if (take(*backend)) return;
    if (queue_->anyAccepting() || pool_->hold.on) return enqueue({});
    abort(Cause::backend_refused, "no backend of this pool is available");
}

// False: this backend is not to be had; try another.
bool TcpSession::take(const BackendView& backend) {
    const UpstreamPool::Acquired acquired = worker_.upstreams.acquire(backend, *this, true);
    if (acquired.fenced) {
        tried_.add(backend.slot);
        return false;
    }
    last_slot_ = backend.slot;
    if (acquired.error != 0 && oursAlone(acquired.error)) {
        abort(Cause::limit, "out of descriptors or memory");
        return true;
    }
    worker_.upstreams.place(backend.slot)->shard->requests.add();
    if (++attempts_ > 1) stats_->retries.add();
    ++tries_;
    attempt_at_ = worker_.now();
    if (!acquired.connection) {
        connectFailed(acquired.error);
        return true;
    }
    connection_ = acquired.connection;
    connection_->place->started();
    state_ = State::connecting;
    if (!acquired.connecting) {
        connected();
        return true;
    }
    worker_.deadlines.set(deadline_, worker_.now() + pool_->timeouts.connect);
    return true;
}

void TcpSession::onConnected(BackendStream&) {
    connected();
}

void TcpSession::connected() {
    queue_->onAnswer();
    connect_time_ = worker_.now() - attempt_at_;
    if (wait.number != 0 && !std::exchange(wait.counted, true)) stats_->released.add();
    Place& place = *connection_->place;
    const uint32_t failures = place.stats->failures.load(std::memory_order_relaxed);
    if (std::exchange(place.failures_told, failures) != failures)
        worker_.observer.see(place.slot, connection_->epoch, Observation::Kind::success, "");
    state_ = State::relaying;
    readBulk(connection_->takesBulk());
    connection_->readBulk(!transport.secured());
    armSilence();
    pump();
}

void TcpSession::onConnectFailed(BackendStream&, int why) {
    connectFailed(why);
}

void TcpSession::connectFailed(int why) {
    worker_.upstreams.place(last_slot_)->shard->connect_failures.add();
    cause_ = why == ETIMEDOUT ? Cause::backend_timeout : Cause::backend_refused;
    const bool told = connection_ && !connection_->trouble.empty();
    observe(Observation::Kind::connect_failure, why == ETIMEDOUT ? "no connection in time"
                                                : told ? std::string_view(connection_->trouble)
                                                       : std::string_view(std::strerror(why)));
    tried_.add(last_slot_);
    dropConnection(false);
    tryAgain(false);
}

void TcpSession::observe(Observation::Kind kind, std::string_view detail) {
    Place& place = *worker_.upstreams.place(last_slot_);
    place.stats->failures.fetch_add(1, std::memory_order_relaxed);
    worker_.observer.see(place.slot, connection_ ? connection_->epoch : place.epoch, kind, detail);
}

void TcpSession::tryAgain(bool fenced) {
    state_ = State::starting;
    deadline_.clear();
    const PoolView& pool = queue_->pool() ? *queue_->pool() : *pool_;
    const auto untried = [&](const BackendView& b) {
        return b.accepting && !tried_.contains(b.slot) && hasRoom(b);
    };
    const Verdict verdict = decide(
        pool_->retry,
        {.trouble = fenced ? Trouble::fenced : Trouble::connect_failed,
         .sent = false,
         .replayable = true,
         .untried_backend = tries_ < kUnsentTries && std::ranges::any_of(pool.backends, untried),
         .hold = pool.hold.on});
    switch (verdict) {
        case Verdict::same_again:
        case Verdict::elsewhere: return dispatch();
        case Verdict::wait:
            if (!fenced) queue_->onRefused();
            return enqueue(fenced ? Duration() : HoldQueue::kPace);
        case Verdict::answer: break;
    }
    abort(cause_, "no backend took the connection");
}

void TcpSession::enqueue(Duration pace) {
    const Instant now = worker_.now();
    if (wait.number == 0) {
        wait.until = now + pool_->hold.wait;
        stats_->held.add();
    }
    tried_.clear();
    tries_ = 0;
    wait.since = now;
    wait.not_before = now + pace;
    state_ = State::waiting;
    if (now >= wait.until) return onDeadline();
    if (!queue_->push(*this))
        return abort(Cause::limit, "too many connections are waiting for this pool");
    worker_.deadlines.set(deadline_, wait.until);
    watchLeaving();
}

void TcpSession::onReleased() {
    wait.total += worker_.now() - wait.since;
    state_ = State::starting;
    deadline_.clear();
    dispatch();
}

// The connection is already gone.
void TcpSession::onFenced(BackendStream&) {
    if (!connection_ || state_ == State::closed) return;
    connection_->place->ended();
    connection_ = nullptr;
    if (state_ == State::connecting) return tryAgain(true);
    abort(Cause::backend_reset, "its server was replaced");
}

}  // namespace regrow::serve
