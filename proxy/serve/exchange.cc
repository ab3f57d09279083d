#include "proxy/serve/exchange.h"

#include <algorithm>

#include "proxy/balance/route_table.h"
#include "proxy/http/error_response.h"
#include "proxy/serve/client_stream.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {

void Exchange::reset() {
    client_ = nullptr;
    attempt_ = second_ = {};
    view_ = ViewRef();
    pool_ = nullptr;
    route_ = nullptr;
    route_view_ = ViewRef();
    stats_ = nullptr;
    queue_ = nullptr;
    body_ = BodyRelay();
    response_ = BodyRelay();
    coding_ = conf::Coding::identity;
    weakly_ = false;
    upgrade_size_ = 0;
    method_ = http::Method::get;
    version_ = http::Version::http11;
    cause_ = Cause::none;
    detail_ = {};
    status_ = 0;
    interims_ = 0;
    keep_ = trailers_wanted_ = expecting_ = overflowed_ = streamed_ = false;
    hedged_ = second_connecting_ = fresh_ = answered_ = client_done_ = backend_done_ = false;
    sends_ = attempts_ = tries_ = 0;
    cut_shows_ = true;
    tried_.clear();
    key_ = {};
    client_entry_ = UINT32_MAX;
    retry_after_s_ = 0;
    pace_.rest();
    upstream_time_ = {};
    sent_to_client_ = 0;
    wait = {};
    draft_.clear();
}

void Exchange::begin(ClientStream& client, const http::RequestHead& head) {
    reset();
    client_ = &client;
    state_ = State::starting;
    started_ = worker_.now();
    view_ = worker_.currentView();
    readHead(head);

    const ListenerView* listener = worker_.listener(client.listenerSlot());
    if (!listener) return respond(503, Cause::limit, "this address is no longer served");
    worker_.shardOf(*listener).requests.add();
    if (!admit(head)) return;
    if (head.method >= http::Method::options && head.method != http::Method::patch &&
        answersMethod(head))
        return;
    const RouteTable& routes = *listener->routes;
    const auto index = routes.router.route(head, &client.identity());
    if (!index) return respond(404, Cause::client, "no route leads this host and path to a pool");
    const RouteTarget& target = routes.targets[*index];
    if (target.actions) [[unlikely]]
        return beginRouted(target, head);
    if (writeRequest(target.pool, head)) dispatch();
}

bool Exchange::writeRequest(uint32_t pool, const http::RequestHead& head) {
    pool_ = &view_->pools[pool];
    queue_ = &worker_.queue(pool_->slot);
    stats_ = &pool_->stats->shards[static_cast<size_t>(worker_.index())];
    stats_->requests.add();
    queue_->budget().request();
    if (pool_->keys || pool_->affinity) readKey(head);
    if (pool_->compress.on) chooseCoding(head);

    request_.ensure(worker_.buffers);
    proxy::HeadWriter out(request_.roomBegin(), request_.room());
    proxy::writeRequestHead(out, head, client_->identity(),
                            {.fallback_host = pool_->name,
                             .host = route_ ? std::string_view(route_->host) : "",
                             .pass_expect = head.expect_continue,
                             .via_name = worker_.proxyName()});
    if (out.full()) return respond(431, Cause::client, "the head is too large"), false;
    request_.filled(out.size());
    // What came with the head. From here on the head's bytes may be written over.
    if (!body_.received() && !body_.transform(client_->body_in))
        return respond(http::statusOf(body_.flaw()), Cause::client, http::textOf(body_.flaw())),
               false;
    return !route_ || !bodyTooLarge();
}

// Methods that are not for a backend, or not for every one. False: it is to be served.
bool Exchange::answersMethod(const http::RequestHead& head) {
    switch (head.method) {
        case http::Method::connect:
            respond(405, Cause::client, "CONNECT asks for a forward proxy; this is not one");
            return true;
        case http::Method::trace:
            respond(405, Cause::client, "TRACE would show what passes here to who asks");
            return true;
        case http::Method::options: break;
        default: return false;
    }
    const auto hops = proxy::maxForwards(head);
    if (hops == proxy::Hops::invalid)
        respond(400, Cause::client, "Max-Forwards is not a number");
    else if (hops == proxy::Hops::none)
        answerOptions();
    return hops == proxy::Hops::invalid || hops == proxy::Hops::none;
}

void Exchange::readHead(const http::RequestHead& head) {
    method_ = head.method;
    version_ = head.version;
    http::Body in = head.body;
    if (!client_->framed() && in.kind == http::BodyKind::chunked)
        in.kind = http::BodyKind::until_close;
    body_.begin(in, head.body.kind == http::BodyKind::chunked, true);
    declared_ = in.kind == http::BodyKind::length;
    trailers_wanted_ = head.te_trailers;
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
                  .version = http::textOf(head.version),
                  .referer = referer ? referer->value() : std::string_view(),
                  .agent = agent ? agent->value() : std::string_view()},
                 worker_.access_log.json());
}

void Exchange::refuse(ClientStream& client, uint16_t status, std::string_view detail) {
    reset();
    client_ = &client;
    state_ = State::starting;
    started_ = worker_.now();
    respond(status, Cause::client, detail);
}

// Our own answer. The client's connection goes on only when its request has been read to the end,
// so that nothing of a body can be taken for the next request.
void Exchange::conclude(uint16_t status, Cause cause, std::string_view detail) {
    if (state_ == State::checking) worker_.passwords.forget(*this);
    dropConnection();
    dropEncoder();
    deadline_.clear();
    cause_ = cause;
    detail_ = detail;
    status_ = status;
    answered_ = true;
    keep_ =
        keep_ && body_.ended() && !worker_.draining() && worker_.listener(client_->listenerSlot());
    if (stats_ && status >= 500 && cause != Cause::client) stats_->errors.add();
    if (cause == Cause::client)
        if (const ListenerView* listener = worker_.listener(client_->listenerSlot()))
            worker_.shardOf(*listener).bad_requests.add();
    state_ = State::relaying;
    response_ = BodyRelay();
}

void Exchange::respond(uint16_t status, Cause cause, std::string_view detail) {
    conclude(status, cause, detail);
    if (respondStyled(status, detail)) return;
    if (client_->sendError({.status = status,
                            .detail = detail,
                            .retry_after_s = status == 503 ? 1U : retry_after_s_,
                            .keep_alive = keep_,
                            .head_only = method_ == http::Method::head,
                            .date = worker_.date()},
                           sent_to_client_) == ClientStream::Sent::failed)
        return cancel(Cause::client);
    pumpResponse();
}

void Exchange::dropConnection() {
    drop(attempt_);
    if (second_.stream) dropSecond();
}

// The one way out. The session may begin its next request inside the last call.
void Exchange::finish() {
    if (state_ == State::done) return;
    leaveClient();
    if (queue_) queue_->remove(*this);
    if (state_ == State::checking) worker_.passwords.forget(*this);
    state_ = State::done;
    deadline_.clear();
    Link<InResume>::unlink();
    dropConnection();
    request_.release(worker_.buffers);
    dropEncoder();
    if (stats_) stats_->status[std::min<size_t>(status_ / 100, 5)].add();
    log();
    view_ = ViewRef();
    route_view_ = ViewRef();
    worker_.retire(*this);
    client_->exchangeEnded(keep_, body_.received());
}

void Exchange::cancel(Cause cause) {
    if (state_ == State::done) return;
    cause_ = cause;
    if (stats_ && cause == Cause::client) stats_->client_aborts.add();
    keep_ = false;
    client_->abort();
    finish();
}

bool Exchange::clientEnds(ClientEnds& ends) const {
    return client_ && client_->ends(ends);
}

void Exchange::log() {
    if (!worker_.access_log.on()) return;
    const Place* place =
        attempt_.slot == UINT32_MAX ? nullptr : worker_.upstreams.place(attempt_.slot);
    worker_.access_log.add(draft_,
                           {.client = client_->identity().ip(),
                            .status = status_,
                            .bytes = sent_to_client_,
                            .duration = worker_.now() - started_,
                            .pool = pool_ ? std::string_view(pool_->name) : std::string_view(),
                            .backend = place ? std::string_view(place->name) : std::string_view(),
                            .upstream = upstream_time_,
                            .retries = std::max(0, attempts_ - 1),
                            .hedged = hedged_,
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
        case State::checking:
            return respond(503, Cause::limit, "the password could not be checked in time");
        case State::connecting: return connectFailed(ETIMEDOUT);
        case State::awaiting:
            shard().timeouts.add();
            queue_->learn(attempt_.slot, worker_.now() - attempt_.began);
            observe(Observation::Kind::no_first_byte, "no first byte in time");
            return attemptFailed(Trouble::no_first_byte);
        case State::relaying: shard().timeouts.add(); return truncated(Cause::backend_timeout);
        case State::tunnelling: return cancel(Cause::none);
        case State::starting:
        case State::done: return;
    }
}

void Exchange::onClientReadable(bool closed) {
    if (state_ == State::tunnelling) return pumpTunnel();
    if (answered_ && !attempt_.stream)
        return;  // our own answer: the rest of the body is discarded later
    // A half-closed client still wants its answer. One that closes while it is held has gone home,
    // as far as anyone can tell: its place is better used by somebody else.
    if (closed && (state_ == State::waiting || state_ == State::checking))
        return cancel(Cause::client);
    if (!body_.received()) return pumpRequest();
    // The request is all here: this is the next one, or the client leaving.
    if (client_->gone()) cancel(Cause::client);
}

void Exchange::onClientWritable() {
    if (state_ == State::tunnelling) return pumpTunnel();
    if (state_ == State::relaying || !client_->flushed()) pumpResponse();
}

void Exchange::onClientDeadline() {
    if (state_ == State::tunnelling || answered_ || !client_->flushed())
        return cancel(Cause::client);
    respond(408, Cause::client, "the request's body stopped arriving");
}

void Exchange::onTooManyTrailers() {
    constexpr auto kFlaw = http::Flaw::trailers_too_large;
    if (state_ == State::tunnelling || answered_) return cancel(Cause::client);
    respond(http::statusOf(kFlaw), Cause::client, http::textOf(kFlaw));
}

void Exchange::onResume() {
    if (state_ == State::tunnelling) return pumpTunnel();
    if (!body_.ended()) pumpRequest();
    if (state_ == State::awaiting) readResponse();
    if (state_ == State::relaying) pumpResponse();
}

}  // namespace regrow::serve
