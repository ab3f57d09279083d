#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/serve/client_stream.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/worker.h"

// Choosing a backend, and what happens when an attempt fails before anything of its answer was
// forwarded.
namespace regrow::serve {
namespace {

// Refusals cost little, but a pool of hundreds that are all down must not be walked through by
// every request.
constexpr int kUnsentTries = 8;

bool oursAlone(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

void Exchange::dispatch() {
    if (!queue_->pool()) return respond(503, Cause::limit, "this pool is no longer served");
    view_ = worker_.currentView();
    pool_ = queue_->pool();
    stats_ = &pool_->stats->shards[static_cast<size_t>(worker_.index())];
    // While what should accept refuses, newcomers stand behind those who wait (hold_queue.h).
    if (wait.number == 0 && attempts_ == 0 && pool_->hold.on && queue_->troubled())
        return enqueue({});
    while (const BackendView* backend = queue_->pick(worker_.now(), tried_, key_))
        if (take(*backend)) return;
    nobodyTakesIt();
}

// False: this backend is not to be had; try another.
bool Exchange::take(const BackendView& backend) {
    const bool fresh = std::exchange(fresh_, false);
    const UpstreamPool::Acquired acquired = worker_.upstreams.acquire(backend, *this, fresh);
    if (acquired.fenced) {
        tried_.add(backend.slot);
        return false;
    }
    attempt_.slot = backend.slot;
    if (acquired.error != 0 && oursAlone(acquired.error)) {
        respond(503, Cause::limit, "out of descriptors or memory");
        return true;
    }
    const Place& place = *worker_.upstreams.place(backend.slot);
    attempted(place);
    if (!acquired.stream) {
        connectFailed(acquired.error);
        return true;
    }
    attempt_.stream = acquired.stream;
    place.started();
    if (acquired.connecting) {
        state_ = State::connecting;
        armDeadline(pool_->timeouts.connect);
        if (!body_.received()) pumpRequest();
        return true;
    }
    // What cannot be repeated must not go out over a connection that the backend has just closed.
    if (!http::isIdempotent(method_) && attempt_.stream->closedMeanwhile()) {
        attemptFailed(Trouble::stale);
        return true;
    }
    connected();
    return true;
}

void Exchange::attempted(const Place& place) {
    place.shard->requests.add();
    if (++attempts_ > 1) stats_->retries.add();
    ++tries_;
    attempt_.began = worker_.now();
    attempt_.sent = attempt_.owed = attempt_.send_broken = attempt_.keeps = false;
    attempt_.request_at = 0;
}

void Exchange::onConnected(BackendStream& from) {
    if (&from == second_.stream) {
        second_connecting_ = false;
        return sendSecond();
    }
    connected();
    // A backend that speaks first (full, it says 503 and closes) may have done so together with the
    // connection's own event.
    if (state_ == State::awaiting && attempt_.stream) readResponse();
}

void Exchange::connected() {
    queue_->onAnswer();  // it accepts: those behind us need not wait for our answer
    state_ = State::awaiting;
    armDeadline(firstByte());
    pumpRequest();
}

void Exchange::onConnectFailed(BackendStream& from, int error) {
    if (&from == second_.stream) return secondFailed(Observation::Kind::connect_failure);
    connectFailed(error);
}

void Exchange::connectFailed(int error) {
    Place& place = *worker_.upstreams.place(attempt_.slot);
    place.shard->connect_failures.add();
    cause_ = error == ETIMEDOUT ? Cause::backend_timeout : Cause::backend_refused;
    observe(Observation::Kind::connect_failure,
            error == ETIMEDOUT ? "no connection in time" : connectTrouble(error));
    attemptFailed(Trouble::connect_failed);
}

std::string_view Exchange::connectTrouble(int error) const {
    if (attempt_.stream && !attempt_.stream->trouble.empty()) return attempt_.stream->trouble;
    return std::strerror(error);
}

void Exchange::observe(Observation::Kind kind, std::string_view detail) {
    Place& place = *worker_.upstreams.place(attempt_.slot);
    place.stats->failures.fetch_add(1, std::memory_order_relaxed);
    worker_.observer.see(place.slot, attempt_.stream ? attempt_.stream->epoch : place.epoch, kind,
                         detail);
}

void Exchange::observeSuccess() {
    Place& place = *attempt_.stream->place;
    const uint32_t failures = place.stats->failures.load(std::memory_order_relaxed);
    if (std::exchange(place.failures_told, failures) == failures) return;
    worker_.observer.see(place.slot, attempt_.stream->epoch, Observation::Kind::success, "");
}

Attempt Exchange::describe(Trouble trouble, uint16_t status) {
    const PoolView& pool = queue_->pool() ? *queue_->pool() : *pool_;
    const auto untried = [&](const BackendView& b) {
        return b.accepting && !tried_.contains(b.slot) && hasRoom(b);
    };
    return {.trouble = trouble,
            .sent = attempt_.sent,
            .idempotent = http::isIdempotent(method_),
            .replayable = replayable(),
            .untried_backend = tries_ < kUnsentTries && std::ranges::any_of(pool.backends, untried),
            .hold = pool.hold.on,
            .budget = queue_->budget().allows(worker_.now()),
            .failing = queue_->failing(),
            .sends = sends_,
            .status = status};
}

void Exchange::attemptFailed(Trouble trouble) {
    if (attempt_.stream && attempt_.stream->untouched() && std::exchange(attempt_.sent, false))
        --sends_;
    drop(attempt_);
    if (trouble != Trouble::stale && trouble != Trouble::fenced) tried_.add(attempt_.slot);
    if (trouble == Trouble::stale && sends_ > 0 && attempt_.sent) --sends_;
    if (promoteSecond()) return;
    trouble_ = trouble;
    const bool paid = std::exchange(wait.paid, false);
    if (paid && !attempt_.sent) queue_->budget().refund();
    if (attempt_.sent && (trouble == Trouble::reset || trouble == Trouble::refused))
        queue_->onUnanswered(attempt_.began, paid || (trouble == Trouble::refused && sends_ > 1));
    const Attempt attempt = describe(trouble, 0);
    const Verdict verdict = decide(retryRules(), attempt);
    if (charged(attempt, verdict)) queue_->budget().charge(), wait.paid = true;
    wait.owes = verdict == Verdict::wait && trouble != Trouble::fenced && (attempt_.sent || paid);
    if (trouble == Trouble::fenced && verdict != Verdict::answer) stats_->replayed.add();
    act(verdict, trouble);
}

// An answer that may be asked for again elsewhere. False: it goes to the client.
bool Exchange::retryStatus(uint16_t status) {
    tried_.add(attempt_.slot);
    if (second_.stream && status >= 500) {
        drop(attempt_);
        return promoteSecond();
    }
    const Attempt attempt = describe(Trouble::status, status);
    if (decide(retryRules(), attempt) != Verdict::elsewhere) return false;
    queue_->budget().charge();
    dropConnection();
    dispatch();
    return true;
}

void Exchange::act(Verdict verdict, Trouble trouble) {
    state_ = State::starting;
    switch (verdict) {
        case Verdict::same_again:
            fresh_ = true;
            tried_.clear();
            return dispatch();
        case Verdict::elsewhere: return dispatch();
        case Verdict::wait:
            if (trouble == Trouble::connect_failed) queue_->onRefused();
            return enqueue(trouble == Trouble::fenced ? Duration() : HoldQueue::kPace);
        case Verdict::answer: return giveUp(trouble);
    }
}

void Exchange::giveUp(Trouble trouble) {
    switch (trouble) {
        case Trouble::connect_failed:
            if (cause_ == Cause::backend_timeout)
                return respond(504, cause_, "the backend did not take the connection in time");
            return respond(502, Cause::backend_refused, "the backend refused the connection");
        case Trouble::no_first_byte:
            return respond(504, Cause::backend_timeout, "the backend did not answer in time");
        case Trouble::bad_answer:
            return respond(502, Cause::backend_bad_answer,
                           "the backend's answer was not valid HTTP");
        case Trouble::stale:
        case Trouble::refused:
            return respond(502, Cause::backend_refused, "the backend refused the request");
        case Trouble::reset:
        case Trouble::status:
        case Trouble::fenced: break;
    }
    respond(502, Cause::backend_reset, "the backend closed the connection without an answer");
}

// Full is a reason to wait whether or not the pool holds requests for dead backends: it will pass
// by itself.
void Exchange::nobodyTakesIt() {
    if (queue_->anyAccepting() || pool_->hold.on) return enqueue({});
    respond(503, Cause::backend_refused, "no backend of this pool is available");
}

void Exchange::enqueue(Duration pace) {
    const Instant now = worker_.now();
    if (wait.number == 0) {
        wait.until = now + pool_->hold.wait;
        stats_->held.add();
    }
    if (now >= wait.until) {
        stats_->hold_expired.add();
        return respond(503, Cause::held_expired, "no backend became available in time");
    }
    tried_.clear();
    tries_ = 0;
    wait.since = now;
    wait.not_before = now + pace;
    if (!queue_->push(*this))
        return respond(503, Cause::limit, "too many requests are waiting for this pool");
    state_ = State::waiting;
    worker_.deadlines.set(deadline_, wait.until);
    if (!body_.received()) pumpRequest();
}

void Exchange::onReleased() {
    wait.total += worker_.now() - wait.since;
    state_ = State::starting;
    deadline_.clear();
    if (wait.owes) return giveUp(trouble_);
    dispatch();
}

// The connection is already gone. What was not answered goes to whoever fills the place next.
void Exchange::onFenced(BackendStream& from) {
    if (state_ == State::done) return;
    const bool second = second_.stream == &from;
    if (!second && attempt_.stream != &from) return;
    BackendAttempt& cut = second ? second_ : attempt_;
    owedNoMore(cut);
    cut.stream->place->ended();
    cut.stream = nullptr;
    if (second) return;
    if (state_ == State::tunnelling || answered_) return truncated(Cause::backend_reset);
    attemptFailed(Trouble::fenced);
}

}  // namespace regrow::serve
