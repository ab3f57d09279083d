#include "proxy/balance/path_text.h"
#include "proxy/balance/route_table.h"
#include "proxy/http/basic_credentials.h"
#include "proxy/http/client_address.h"
#include "proxy/http/error_response.h"
#include "proxy/serve/client_stream.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/worker.h"

// What a rule does beyond naming a pool: who may ask, what is changed on the way, what we answer
// ourselves. Plain rules never come here.
namespace regrow::serve {
namespace {

// Slow hashes take tenths of a second; a queue of them some seconds.
constexpr Duration kPasswordPatience = std::chrono::seconds(15);
constexpr std::string_view kMethods = "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH";
constexpr std::string_view kTooLarge = "the body is larger than this route takes";

bool hasNoBody(uint16_t status) {
    return status == 204 || status == 304;
}

// Content-Length: 0 as well, but for those that never have one.
void announce(http::ResponseHead& head, size_t body) {
    head.has_content_length = !hasNoBody(head.status);
    head.content_length = body;
    head.keep_alive = true;
    head.version = http::Version::http11;
}

}  // namespace

void Exchange::beginRouted(const RouteTarget& target, const http::RequestHead& head) {
    route_ = target.actions.get();
    route_view_ = worker_.currentView();
    if (!admits(head)) return respond(403, Cause::client, "this address may not ask for this");
    if (head.body.kind == http::BodyKind::length && head.body.length > route_->max_body)
        return respond(413, Cause::client, kTooLarge);
    if (!route_->auth) {
        if (prepare(target.pool, head)) proceed();
        return;
    }
    PasswordGate::Claim claim;
    const auto known = worker_.passwords.look(route_->auth->users, proxy::basicToken(head.fields),
                                              worker_.now(), claim);
    if (known == PasswordGate::Known::wrong) return onPasswordChecked(false);
    if (!prepare(target.pool, head)) return;
    if (known == PasswordGate::Known::right) return proceed();
    if (!worker_.passwords.check(*this, std::move(claim)))
        return respond(503, Cause::limit, "too many passwords are being checked");
    state_ = State::checking;
    armDeadline(kPasswordPatience);
    if (!body_.received()) pumpRequest();
}

void Exchange::onPasswordChecked(bool right) {
    if (!right) return respond(401, Cause::client, "a user name and password are needed here");
    deadline_.clear();
    state_ = State::starting;
    proceed();
}

// A trusted proxy speaks for somebody else; when what it says is no address, nobody can tell for
// whom.
bool Exchange::admits(const http::RequestHead& head) const {
    if (route_->allow.empty() && route_->deny.empty()) return true;
    const proxy::ClientIdentity& peer = client_->identity();
    const auto within = [&](const proxy::ProxyTrust& networks, const std::optional<Address>& who) {
        return who ? networks.trusts(*who) : networks.contains(peer.ip());
    };
    std::optional<Address> spoken_for;
    if (peer.trusted()) {
        spoken_for = proxy::forwardedClient(head.fields, worker_.trustOf(client_->listenerSlot()));
        if (!spoken_for && head.fields.find(http::FieldId::x_forwarded_for)) return false;
    }
    if (within(route_->deny, spoken_for)) return false;
    return route_->allow.empty() || within(route_->allow, spoken_for);
}

// Everything that needs the received head, which does not outlive this call. False: answered.
bool Exchange::prepare(uint32_t pool, const http::RequestHead& head) {
    if (route_->redirect) return writeLocation(head);
    if (route_->respond) return true;
    if (!route_->editsRequest()) return writeRequest(pool, head);
    http::RequestHead& edited = worker_.request_heads.take();
    edited = head;
    const bool fits = editRequest(edited);
    if (!fits) respond(431, Cause::limit, "there are too many fields");
    const bool written = fits && writeRequest(pool, edited);
    worker_.request_heads.giveBack(edited);
    return written;
}

bool Exchange::editRequest(http::RequestHead& head) {
    if (!route_->rewrite.empty() && head.path != "*") {
        proxy::HeadWriter path = worker_.headWriter();
        path.add(route_->rewrite), path.add(restAfter(route_->path, head.path));
        head.path = path.text();
    }
    if (route_->auth && !route_->auth->pass)
        for (http::Field& f : head.fields)
            if (f.id == http::FieldId::authorization) f.drop = true;
    return route_->request.apply(head.fields);
}

// Kept in the request's own block: nothing else goes there.
bool Exchange::writeLocation(const http::RequestHead& head) {
    request_.ensure(worker_.buffers);
    proxy::HeadWriter out(request_.roomBegin(), request_.room());
    const std::string_view path = head.path == "*" ? "/" : head.path;
    const bool named = route_->redirect->location.write(
        out, {.scheme = proxy::outerScheme(head, client_->identity()),
              .host = proxy::outerHost(head, client_->identity()),
              .path = path,
              .rest = restAfter(route_->path, path),
              .query = head.query});
    if (!named)
        respond(400, Cause::client, "a request without Host cannot be redirected");
    else if (out.full())
        respond(414, Cause::client, "the target is too long to redirect");
    else
        request_.filled(out.size());
    return named && !out.full();
}

void Exchange::proceed() {
    if (route_->redirect)
        return answer({.status = route_->redirect->status, .location = request_.view()});
    if (!route_->respond) return dispatch();
    const conf::Respond& fixed = *route_->respond;
    answer({.status = static_cast<uint16_t>(fixed.status),
            .content_type = fixed.content_type,
            .body = fixed.body});
}

// OPTIONS that may not go further (RFC 9110 7.6.2).
void Exchange::answerOptions() {
    answer({.status = 200, .allow = kMethods});
}

// Of what was just received, before any of it goes on.
bool Exchange::bodyTooLarge() {
    if (body_.payloadBytes() <= route_->max_body) return false;
    if (answered_)
        cancel(Cause::client);
    else
        respond(413, Cause::client, kTooLarge);
    return true;
}

// The view keeps the page while it is on its way.
const ErrorPages* Exchange::errorPages() {
    if (route_) return route_->pages.get();
    const ListenerView* const listener = worker_.listener(client_->listenerSlot());
    if (!listener || !listener->routes->pages) return nullptr;
    route_view_ = worker_.currentView();
    return listener->routes->pages.get();
}

// An error with a page, with fields of its own, or on a route that edits fields. False: the short
// plain text does.
bool Exchange::respondStyled(uint16_t status, std::string_view detail) {
    const ErrorPages* const pages = errorPages();
    const ErrorPages::Page* const page = pages ? pages->find(status) : nullptr;
    if (!page && !route_ && status != 405) return false;
    std::string_view text = page ? std::string_view(page->text) : std::string_view();
    if (!page) {
        request_.ensure(worker_.buffers);
        request_.rewind();
        proxy::HeadWriter out(request_.roomBegin(), request_.room());
        proxy::writeErrorBody(out, {.status = status, .detail = detail, .date = {}});
        request_.filled(out.size());
        text = request_.view();
    }
    sendAnswer({.status = status,
                .content_type = page ? page->content_type : "text/plain; charset=utf-8",
                .body = text,
                .challenge = status == 401 ? std::string_view(route_->auth->challenge) : "",
                .allow = status == 405 ? kMethods : "",
                .retry_after = status == 503 ? "1" : "",
                .cache_control = "no-store"});
    return true;
}

void Exchange::answer(const OwnAnswer& own) {
    conclude(own.status, Cause::none, {});
    sendAnswer(own);
}

void Exchange::sendAnswer(const OwnAnswer& own) {
    http::ResponseHead& head = worker_.response_heads.take();
    head.clear();
    head.status = own.status;
    head.reason = proxy::reasonPhrase(own.status);
    announce(head, own.body.size());
    const auto add = [&](std::string_view name, std::string_view value) {
        if (!value.empty()) head.fields.add(proxy::makeField(name, value));
    };
    add("Content-Type", own.body.empty() ? std::string_view() : own.content_type);
    add("Location", own.location);
    add("WWW-Authenticate", own.challenge);
    add("Allow", own.allow);
    add("Retry-After", own.retry_after);
    add("Cache-Control", own.cache_control);
    if (route_) route_->response.apply(head.fields);
    std::string_view body = method_ == http::Method::head ? std::string_view() : own.body;
    const size_t whole = body.size();
    const auto sent = client_->sendHead(head,
                                        {.method = method_,
                                         .client = version_,
                                         .keep_alive = keep_,
                                         .date = worker_.date(),
                                         .via_name = {}},
                                        body, true);
    worker_.response_heads.giveBack(head);
    if (sent == ClientStream::Sent::failed || sent == ClientStream::Sent::too_large)
        return cancel(Cause::client);
    sent_to_client_ += whole - body.size();
    response_.give(body);
    if (sent == ClientStream::Sent::blocked) return clientBlocked();
    pumpResponse();
}

}  // namespace regrow::serve
