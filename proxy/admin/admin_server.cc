#include "proxy/admin/admin_server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/keyvalq_struct.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include "proxy/admin/api.h"
#include "proxy/admin/listen.h"

namespace regrow::admin {
namespace {

std::string_view methodName(evhttp_cmd_type command) {
    switch (command) {
        case EVHTTP_REQ_GET: return "GET";
        case EVHTTP_REQ_HEAD: return "HEAD";
        case EVHTTP_REQ_POST: return "POST";
        case EVHTTP_REQ_PUT: return "PUT";
        case EVHTTP_REQ_DELETE: return "DELETE";
        case EVHTTP_REQ_OPTIONS: return "OPTIONS";
        case EVHTTP_REQ_PATCH: return "PATCH";
        default: return "?";
    }
}

std::optional<Request> toRequest(evhttp_request* raw) {
    auto request =
        parseTarget(methodName(evhttp_request_get_command(raw)), evhttp_request_get_uri(raw));
    if (!request) return std::nullopt;
    for (const evkeyval* h = evhttp_request_get_input_headers(raw)->tqh_first; h;
         h = h->next.tqe_next)
        request->headers.emplace_back(h->key, h->value);
    evbuffer* body = evhttp_request_get_input_buffer(raw);
    request->body.resize(evbuffer_get_length(body));
    evbuffer_copyout(body, request->body.data(), request->body.size());
    return request;
}

void addHeader(evhttp_request* request, std::string_view name, std::string_view value) {
    evhttp_add_header(evhttp_request_get_output_headers(request), std::string(name).c_str(),
                      std::string(value).c_str());
}

// What every answer says to a browser: keep nothing, guess nothing, show it in no frame.
void addSafetyHeaders(evhttp_request* request) {
    addHeader(request, "Cache-Control", "no-store");
    addHeader(request, "X-Content-Type-Options", "nosniff");
    addHeader(request, "Referrer-Policy", "no-referrer");
    addHeader(request, "X-Frame-Options", "DENY");
    addHeader(request, "Cross-Origin-Resource-Policy", "same-origin");
}

int descriptorOf(evhttp_request* request) {
    return bufferevent_getfd(
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(request)));
}

// Last-Event-ID (a browser's reconnect), else ?since=. Nothing: only what comes from now on.
std::optional<uint64_t> sinceOf(const Request& request) {
    std::string text(request.header("Last-Event-ID"));
    if (text.empty()) text = request.queryValue("since");
    uint64_t since = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), since);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return since;
}

ino_t pathInode(const std::string& path) {
    struct stat info{};
    return ::lstat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

timeval toTimeval(Duration d) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(d).count();
    return {static_cast<time_t>(us / 1'000'000), static_cast<suseconds_t>(us % 1'000'000)};
}

}  // namespace

Result<std::unique_ptr<AdminServer>> AdminServer::start(EventLoop& loop,
                                                        const conf::AdminConfig& config,
                                                        control::Control& control,
                                                        AdminLimits limits) {
    REGROW_TRY(auto rules, loadAccessRules(*config.listen, config.token_file));
    std::unique_ptr<AdminServer> server(new AdminServer(loop, control, limits, std::move(rules)));
    REGROW_CHECK(server->listen(*config.listen));
    return server;
}

AdminServer::AdminServer(EventLoop& loop, control::Control& control, AdminLimits limits,
                         AccessRules rules)
    : loop_(loop),
      control_(control),
      limits_(limits),
      rules_(std::move(rules)),
      page_(assemblePage()),
      http_(evhttp_new(loop.base())) {}

AdminServer::~AdminServer() {
    if (socket_inode_ != 0 && pathInode(address_.host()) == socket_inode_)
        ::unlink(address_.host().c_str());
}

Result<> AdminServer::listen(const Address& address) {
    if (!http_)
        return fail(Code::internal, Source::us,
                    "admin endpoint: libevent has no memory for its HTTP server");
    REGROW_TRY(UniqueFd fd, listenAdmin(address));
    address_ = address.isUnix() ? address : localAddress(fd.get());
    if (address.isUnix()) socket_inode_ = pathInode(address.host());
    evconnlistener* listener = evconnlistener_new(
        loop_.base(), nullptr, nullptr, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd.get());
    if (!listener)
        return fail(Code::internal, Source::us, "admin endpoint: libevent refuses the socket");
    fd.release();
    if (!evhttp_bind_listener(http_.get(), listener)) {
        evconnlistener_free(listener);
        return fail(Code::internal, Source::us, "admin endpoint: libevent refuses the listener");
    }
    guard_ =
        std::make_unique<ConnectionGuard>(loop_, listener, limits_.connections, limits_.ceiling);
    events_ = std::make_unique<EventHub>(loop_, control_, limits_.events);
    configure();
    return {};
}

void AdminServer::configure() {
    const timeval idle = toTimeval(limits_.idle);
    evhttp_set_timeout_tv(http_.get(), &idle);
    evhttp_set_max_headers_size(http_.get(), static_cast<ev_ssize_t>(limits_.header_bytes));
    evhttp_set_max_body_size(http_.get(), static_cast<ev_ssize_t>(limits_.body_bytes));
    // All that have a body we can answer, so that the refusal is ours and says what is allowed.
    evhttp_set_allowed_methods(http_.get(), EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                                EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                                EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_bevcb(
        http_.get(),
        [](event_base*, void* self) { return static_cast<AdminServer*>(self)->guard_->accept(); },
        this);
    evhttp_set_gencb(
        http_.get(),
        [](evhttp_request* request, void* self) {
            static_cast<AdminServer*>(self)->serve(request);
        },
        this);
}

Result<> AdminServer::reloadToken(const std::string& token_file) {
    REGROW_TRY(AccessRules fresh, loadAccessRules(address_, token_file));
    fresh.listen = rules_.listen;
    rules_ = std::move(fresh);
    return {};
}

void AdminServer::serve(evhttp_request* raw) {
    loop_.refreshNow();
    guard_->requestOn(descriptorOf(raw));
    const auto request = toRequest(raw);
    if (!request)
        return reply(raw, Reply::error(400, "the request target cannot be understood", "invalid"));
    const auto refusal = refuse(*request, rules_);
    // Without the token a browser still gets the page itself, which holds no data and asks for it.
    if (request->path.empty() && !request->changes() && (!refusal || refusal->status == 401))
        return servePage(raw, !refusal);
    if (refusal) return reply(raw, *refusal);
    if (request->method == "GET" && request->path.size() == 1 && request->path[0] == "events")
        return serveEvents(raw, *request);
    reply(raw, answer(*request, control_, Wall::now()));
}

void AdminServer::servePage(evhttp_request* raw, bool authorized) {
    reply(raw, {.status = authorized ? 200 : 401,
                .content_type = "text/html; charset=utf-8",
                .body = page_.html,
                .headers = {{"Content-Security-Policy", page_.policy}}});
}

void AdminServer::serveEvents(evhttp_request* raw, const Request& request) {
    if (events_->full())
        return reply(raw,
                     Reply::error(503, "too many event streams are open; close one and try again",
                                  "unavailable"));
    addSafetyHeaders(raw);
    addHeader(raw, "Content-Type", "text/event-stream");
    guard_->streamOn(descriptorOf(raw));
    events_->open(raw,
                  {request.queryValue("pool"), request.queryValue("backend"), sinceOf(request)});
}

void AdminServer::reply(evhttp_request* raw, const Reply& reply) {
    addSafetyHeaders(raw);
    addHeader(raw, "Content-Type", reply.content_type);
    for (const auto& [name, value] : reply.headers) addHeader(raw, name, value);
    evbuffer* body = evhttp_request_get_output_buffer(raw);
    if (evhttp_request_get_command(raw) == EVHTTP_REQ_HEAD) {
        addHeader(raw, "Content-Length", fmt::format("{}", reply.body.size()));
    } else {
        evbuffer_add(body, reply.body.data(), reply.body.size());
    }
    evhttp_send_reply(raw, reply.status, nullptr, nullptr);
}

}  // namespace regrow::admin
