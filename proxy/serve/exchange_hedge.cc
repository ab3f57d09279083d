#include <utility>

#include "proxy/serve/client_stream.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/worker.h"

// The second of two attempts under way at once: begun when the first takes too long, and then a
// race for the first answer. Who loses is counted neither as a success nor as a failure.
namespace regrow::serve {

// All of the request is there and stored: the second attempt sends the block and nothing else. One
// that may become a tunnel is not for two.
bool Exchange::mayHedge() const {
    const conf::Retry& rules = retryRules();
    return rules.hedge && rules.attempts > 1 && sends_ < rules.attempts && !hedged_ &&
           replayable() && body_.ended() && body_.out().empty() && upgrade_size_ == 0 &&
           http::isIdempotent(method_);
}

// The whole request is with the backend: from here on it owes an answer.
void Exchange::owed() {
    if (attempt_.owed) return;
    attempt_.owed = true;
    asked_at = worker_.now();
    Place& place = *attempt_.stream->place;
    place.silence.asked(asked_at);
    if (mayHedge()) place.hedgeable.pushBack(*this);
}

void Exchange::owedNoMore(BackendAttempt& attempt) {
    if (!std::exchange(attempt.owed, false)) return;
    attempt.stream->place->silence.left();
    if (&attempt == &attempt_) Link<InHedgeable>::unlink();
}

void Exchange::onOverdue() {
    if (state_ != State::awaiting || !attempt_.stream || second_.stream || !queue_->pool()) return;
    Tried tried = tried_;
    tried.add(attempt_.slot);
    const BackendView* const backend = queue_->pick(worker_.now(), tried, key_);
    if (!backend) return;
    if (const Place* p = worker_.upstreams.place(backend->slot); p && p->silence.stalled()) return;
    const UpstreamPool::Acquired acquired = worker_.upstreams.acquire(*backend, *this, false);
    if (!acquired.stream) return;  // the first one may still answer
    hedged_ = true;
    queue_->budget().charge();
    stats_->hedges.add();
    second_ = {.stream = acquired.stream, .slot = backend->slot, .began = worker_.now()};
    second_connecting_ = acquired.connecting;
    const Place& place = *acquired.stream->place;
    place.shard->requests.add();
    place.started();
    if (!second_connecting_) sendSecond();
}

void Exchange::sendSecond() {
    const net::IoResult r = second_.stream->send(request_.view().substr(second_.request_at));
    if (r.kind == net::IoResult::Kind::failed) {
        second_.send_broken = true;
        return readSecond();
    }
    if (r.bytes == 0) return;
    second_.request_at += r.bytes;
    second_.stream->place->shard->bytes_out.add(r.bytes);
    if (!std::exchange(second_.sent, true)) ++sends_, second_.began = worker_.now();
    if (second_.request_at < request_.size() || second_.owed) return;
    second_.owed = true;
    second_.stream->place->silence.asked(worker_.now());
}

void Exchange::onSecondEvent(bool readable, bool writable) {
    if (writable && !second_.send_broken && second_.request_at < request_.size()) sendSecond();
    if (readable && second_.stream) readSecond();
}

// An answer that may be retried does not win: the first one may have a better one.
void Exchange::readSecond() {
    http::ResponseHead* head = nullptr;
    while (second_.stream && state_ == State::awaiting) {
        switch (second_.stream->readHead(head)) {
            case BackendStream::Answer::none: return;
            case BackendStream::Answer::head: {
                const bool interim = head->interim();
                if (!interim && head->status < 500) return secondWins(*head);
                secondAnswered(head->status);
                worker_.response_heads.giveBack(*head);
                if (!interim || ++interims_ > kMostInterims) return dropSecond();
                break;
            }
            case BackendStream::Answer::stale: return dropSecond();
            case BackendStream::Answer::bad: return secondFailed(Observation::Kind::bad_answer);
            case BackendStream::Answer::gone: return secondFailed(Observation::Kind::reset);
        }
    }
}

void Exchange::secondAnswered(uint16_t status) {
    Place& place = *second_.stream->place;
    if (status < 200) return place.silence.heard(worker_.now());
    const Duration took = worker_.now() - second_.began;
    place.shard->latency.record(took);
    queue_->answered(place, took);
    if (status < 500) return;
    place.shard->status_5xx.add();
    if (!speaksOfHealth(status)) return;
    place.stats->failures.fetch_add(1, std::memory_order_relaxed);
    worker_.observer.see(place.slot, second_.stream->epoch, Observation::Kind::status_5xx,
                         "answered with a 5xx status");
}

void Exchange::secondWins(http::ResponseHead& head) {
    std::swap(attempt_, second_);
    stats_->hedges_won.add();
    leave(second_);
    second_ = {};
    second_connecting_ = false;
    interims_ = 0;
    takeHead(head);
    worker_.response_heads.giveBack(head);
}

void Exchange::secondFailed(Observation::Kind kind) {
    Place& place = *second_.stream->place;
    if (kind == Observation::Kind::reset) place.shard->resets.add();
    if (kind == Observation::Kind::bad_answer) place.shard->bad_answers.add();
    if (kind == Observation::Kind::connect_failure) place.shard->connect_failures.add();
    place.stats->failures.fetch_add(1, std::memory_order_relaxed);
    worker_.observer.see(
        place.slot, second_.stream->epoch, kind,
        second_.stream->trouble.empty() ? "failed a hedged request" : second_.stream->trouble);
    dropSecond();
}

void Exchange::dropSecond() {
    drop(second_);
    second_ = {};
    second_connecting_ = false;
}

// The first came to nothing: the second takes its place, and all goes on as if it were the only
// one.
bool Exchange::promoteSecond() {
    if (!second_.stream) return false;
    attempt_ = std::exchange(second_, {});
    cause_ = Cause::none;
    const bool connecting = std::exchange(second_connecting_, false);
    state_ = connecting ? State::connecting : State::awaiting;
    armDeadline(connecting ? pool_->timeouts.connect : firstByte());
    return true;
}

// Ends an attempt for good. What a silent backend still owes is waited for by somebody else.
void Exchange::drop(BackendAttempt& attempt) {
    if (!attempt.stream) return;
    if (attempt.owed && attempt.stream->place->silence.stalled()) return leave(attempt);
    owedNoMore(attempt);
    attempt.stream->place->ended();
    std::exchange(attempt.stream, nullptr)->finish(false);
}

// Of one that owes an answer which nobody needs any more: that it comes is the sign that the
// backend is there, and that it does not come tells of silence.
void Exchange::leave(BackendAttempt& attempt) {
    Place& place = *attempt.stream->place;
    BackendStream& stream = *std::exchange(attempt.stream, nullptr);
    const bool owed = std::exchange(attempt.owed, false);
    place.ended();
    Link<InHedgeable>::unlink();
    if (owed && !place.late_answer.waiting()) return place.late_answer.adopt(stream, firstByte());
    if (owed) place.silence.outrun();
    stream.finish(false);
}

}  // namespace regrow::serve
