#include "proxy/serve/exchange.h"

#include <algorithm>

#include "proxy/balance/router.h"
#include "proxy/http/error_response.h"
#include "proxy/serve/client_session.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {

void Exchange::reset() {
    session_ = nullptr;
    connection_ = nullptr;
    view_ = ViewRef();
    pool_ = nullptr;
    stats_ = nullptr;
    queue_ = nullptr;
    request_at_ = 0;
    body_ = BodyRelay();
    response_ = BodyRelay();
    upgrade_size_ = 0;
    method_ = http::Method::get;
    version_ = http::Version::http11;
    cause_ = Cause::none;
    detail_ = {};
    status_ = 0;
    interims_ = 0;
    keep_ = expecting_ = overflowed_ = streamed_ = send_broken_ = upstream_keeps_ = false;
    attempt_sent_ = fresh_ = answered_ = client_done_ = backend_done_ = false;
    sends_ = attempts_ = tries_ = 0;
    cut_shows_ = true;
    tried_.clear();
    upstream_time_ = {};
    sent_to_client_ = 0;
    last_slot_ = UINT32_MAX;
    wait = {};
    draft_.clear();
}

void Exchange::begin(ClientSession& session, const http::RequestHead& head) {
    reset();
    session_ = &session;
    state_ = State::starting;
    started_ = worker_.now();
    view_ = worker_.currentView();
    readHead(head);

    const ListenerView* listener = worker_.listener(session.listenerSlot());
    if (!listener) return respond(503, Cause::limit, "this address is no longer served");
    worker_.shardOf(*listener).requests.add();
    if (head.method == http::Method::connect)
        return respond(405, Cause::client, "CONNECT asks for a forward proxy; this is not one");
    const auto index = listener->router->route(head.host, head.path);
    if (!index) return respond(404, Cause::client, "no route leads this host and path to a pool");
    pool_ = &view_->pools[*index];
    queue_ = &worker_.queue(pool_->slot);
    stats_ = &pool_->stats->shards[static_cast<size_t>(worker_.index())];
    stats_->requests.add();
    queue_->budget().request();

    request_.ensure(worker_.buffers);
    proxy::HeadWriter out(request_.roomBegin(), request_.room());
    proxy::writeRequestHead(out, head, session.identity(),
                            {.fallback_host = pool_->name,
                             .pass_expect = head.expect_continue,
                             .via_name = worker_.proxyName()});
    if (out.full()) return respond(431, Cause::client, "the head is too large");
    request_.filled(out.size());
    // What came with the head. From here on the head's bytes may be written over.
    if (!body_.received() && !body_.transform(session.in))
        return respond(400, Cause::client, http::textOf(body_.flaw()));
    dispatch();
}

void Exchange::readHead(const http::RequestHead& head) {
    method_ = head.method;
    version_ = head.version;
    body_.begin(head.body, head.body.kind == http::BodyKind::chunked);
    keep_ = head.keep_alive;
    expecting_ = head.expect_continue && head.body.kind != http::BodyKind::none;
    if (head.upgrade.size() <= upgrade_.size()) {
        std::ranges::copy(head.upgrade, upgrade_.begin());
        upgrade_size_ = static_cast<uint8_t>(head.upgrade.size());
    }
    if (!worker_.access_log.on()) return;
    const http::Field* referer = head.fields.find("referer");
    const http::Field* agent = head.fields.find("user-agent");
    draft_.begin({.method = head.method_text,
                  .target = head.target,
                  .version = head.version == http::Version::http11 ? "HTTP/1.1" : "HTTP/1.0",
                  .referer = referer ? referer->value() : std::string_view(),
                  .agent = agent ? agent->value() : std::string_view()},
                 worker_.access_log.json());
}

void Exchange::refuse(ClientSession& session, uint16_t status, std::string_view detail) {
    reset();
    session_ = &session;
    state_ = State::starting;
    started_ = worker_.now();
    respond(status, Cause::client, detail);
}

// Our own answer. The client's connection goes on only when its request has been read to the end,
// so that nothing of a body can be taken for the next request.
void Exchange::respond(uint16_t status, Cause cause, std::string_view detail) {
    dropConnection();
    deadline_.clear();
    cause_ = cause;
    detail_ = detail;
    status_ = status;
    answered_ = true;
    keep_ =
        keep_ && body_.ended() && !worker_.draining() && worker_.listener(session_->listenerSlot());
    if (stats_ && status >= 500 && cause != Cause::client) stats_->errors.add();
    if (cause == Cause::client)
        if (const ListenerView* listener = worker_.listener(session_->listenerSlot()))
            worker_.shardOf(*listener).bad_requests.add();
    state_ = State::relaying;
    response_ = BodyRelay();
    proxy::HeadWriter out = worker_.headWriter();
    proxy::writeErrorResponse(out, {.status = status,
                                    .detail = detail,
                                    .retry_after_s = status == 503 ? 1U : 0U,
                                    .keep_alive = keep_,
                                    .head_only = method_ == http::Method::head,
                                    .date = worker_.date()});
    const std::string_view text = out.text();
    std::string_view no_body;
    if (session_->send(text, no_body) == ClientSession::Sent::failed) return cancel(Cause::client);
    sent_to_client_ += text.size() - std::min(text.size(), text.find("\r\n\r\n") + 4);
    pumpResponse();
}

void Exchange::dropConnection() {
    if (!connection_) return;
    shard().in_flight.sub();
    worker_.upstreams.discard(*std::exchange(connection_, nullptr));
}

// The one way out. The session may begin its next request inside the last call.
void Exchange::finish() {
    if (state_ == State::done) return;
    if (queue_) queue_->remove(*this);
    state_ = State::done;
    deadline_.clear();
    Link<InResume>::unlink();
    dropConnection();
    request_.release(worker_.buffers);
    if (stats_) stats_->status[std::min<size_t>(status_ / 100, 5)].add();
    log();
    view_ = ViewRef();
    worker_.retire(*this);
    session_->exchangeEnded(keep_, body_.received());
}

void Exchange::cancel(Cause cause) {
    if (state_ == State::done) return;
    cause_ = cause;
    if (stats_ && cause == Cause::client) stats_->client_aborts.add();
    keep_ = false;
    ClientSession* session = session_;
    session->abort();
    finish();
}

void Exchange::log() {
    if (!worker_.access_log.on()) return;
    const Place* place = last_slot_ == UINT32_MAX ? nullptr : worker_.upstreams.place(last_slot_);
    worker_.access_log.add(draft_,
                           {.client = session_->identity().ip(),
                            .status = status_,
                            .bytes = sent_to_client_,
                            .duration = worker_.now() - started_,
                            .pool = pool_ ? std::string_view(pool_->name) : std::string_view(),
                            .backend = place ? std::string_view(place->name) : std::string_view(),
                            .upstream = upstream_time_,
                            .retries = std::max(0, attempts_ - 1),
                            .held = wait.total,
                            .why = cause_,
                            .detail = detail_});
}

void Exchange::armDeadline(Duration d) {
    worker_.deadlines.set(deadline_, worker_.now() + d);
}

void Exchange::onDeadline() {
    switch (state_) {
        case State::waiting:
            queue_->remove(*this);
            wait.total += worker_.now() - wait.since;
            stats_->hold_expired.add();
            return respond(503, Cause::held_expired, "no backend became available in time");
        case State::connecting: return onConnectFailed(ETIMEDOUT);
        case State::awaiting:
            shard().timeouts.add();
            observe(Observation::Kind::no_first_byte, "no first byte in time");
            return attemptFailed(Trouble::no_first_byte);
        case State::relaying: shard().timeouts.add(); return truncated(Cause::backend_timeout);
        case State::tunnelling: return cancel(Cause::none);
        case State::starting:
        case State::done: return;
    }
}

void Exchange::onClientReadable(short what) {
    if (state_ == State::tunnelling) return pumpTunnel();
    if (answered_ && !connection_)
        return;  // our own answer: the rest of the body is discarded later
    // A half-closed client still wants its answer. One that closes while it is held has gone home,
    // as far as anyone can tell: its place is better used by somebody else.
    if ((what & EV_CLOSED) && state_ == State::waiting) return cancel(Cause::client);
    if (!body_.received()) return pumpRequest();
    // The request is all here: this is the next one, or the client leaving.
    const net::IoResult peeked = session_->transport.peek();
    if (peeked.kind == net::IoResult::Kind::failed) cancel(Cause::client);
}

void Exchange::onClientWritable() {
    if (state_ == State::tunnelling) return pumpTunnel();
    if (state_ == State::relaying || !session_->flushed()) pumpResponse();
}

void Exchange::onClientDeadline() {
    if (state_ == State::tunnelling || answered_ || !session_->flushed())
        return cancel(Cause::client);
    respond(408, Cause::client, "the request's body stopped arriving");
}

void Exchange::onResume() {
    if (state_ == State::tunnelling) return pumpTunnel();
    if (!body_.ended()) pumpRequest();
    if (state_ == State::awaiting) readResponse();
    if (state_ == State::relaying) pumpResponse();
}

}  // namespace regrow::serve
