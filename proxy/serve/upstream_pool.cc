#include "proxy/serve/upstream_pool.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "proxy/net/connector.h"
#include "proxy/serve/backend_user.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {

UpstreamPool::~UpstreamPool() {
    closeAll();
}

BufferPool& UpstreamPool::buffers() {
    return worker_.buffers;
}

http::ResponseHead& UpstreamPool::lendHead() {
    http::ResponseHead& head = worker_.response_heads.take();
    head.clear();
    return head;
}

UpstreamPool::Acquired UpstreamPool::acquire(const BackendView& backend, BackendUser& user,
                                             bool fresh) {
    Place& place = placeOf(backend);
    if (backend.epoch < place.epoch) return {.fenced = true};
    if (place.http2) return shareSession(place, user, fresh);
    if (fresh || place.idle.empty()) return connect(place, user);
    UpstreamConnection& c = reuse(place, user);
    return {.stream = &c, .connection = &c};
}

// Whoever comes while the first connection is being made waits for it with the others.
UpstreamPool::Acquired UpstreamPool::shareSession(Place& place, BackendUser& user, bool fresh) {
    H2BackendSession* session = place.sessions.first();
    while (session && !session->takes(fresh)) session = place.sessions.after(*session);
    if (!session) {
        session = &worker_.h2_backend_sessions.take(worker_);
        const Acquired made = connect(place, *session);
        if (!made.connection) {
            worker_.retire(*session);
            return made;
        }
        session->open(*made.connection, made.connecting);
        place.sessions.pushFront(*session);
    }
    return {.stream = &session->begin(user, fresh), .connecting = session->connecting()};
}

UpstreamPool::Acquired UpstreamPool::connect(Place& place, BackendUser& user) {
    tls::SessionPtr session = place.tls ? place.tls->session(place.address) : nullptr;
    if (place.tls && !session) return {.error = ENOMEM};
    if (!worker_.mayConnect() && !yieldOne()) return {.error = EMFILE};
    net::Connecting connecting = net::startConnect(place.address);
    if (!connecting.fd) return {.error = connecting.error};
    UpstreamConnection& c = connections_.take(*this);
    c.reset();
    c.place = &place;
    c.epoch = place.epoch;
    c.moves = place.moves;
    c.answered = 0;
    c.user = &user;
    c.trouble = {};
    c.heard = false;
    c.parser.reset();
    c.state = connecting.connected && !session ? UpstreamConnection::State::busy
                                               : UpstreamConnection::State::connecting;
    c.transport.adopt(std::move(connecting.fd));
    if (session) c.transport.secure(std::move(session), place.tls);
    c.watch.start(worker_.base(), c.transport.fd(), UpstreamConnection::onEvent, &c);
    place.connections.pushBack(c);
    place.shard->connections.add();
    worker_.sockets().upstreams.fetch_add(1, std::memory_order_relaxed);
    c.introduced = connecting.connected;
    if (connecting.connected) [[unlikely]]
        if (const int failed = introduce(c); failed != 0) {
            discard(c);
            return {.error = failed};
        }
    return {.stream = &c,
            .connection = &c,
            .connecting = c.state == UpstreamConnection::State::connecting};
}

// The PROXY header: what the backend hears first, before TLS. The socket is new and empty, so it
// takes all of it.
int UpstreamPool::introduce(UpstreamConnection& c) {
    const conf::ProxyProtocol how = c.place->proxy_protocol;
    if (how == conf::ProxyProtocol::off) return 0;
    char header[kProxyHeaderRoom];
    const auto version = how == conf::ProxyProtocol::v1 ? ProxyVersion::v1 : ProxyVersion::v2;
    ClientEnds ends;
    const size_t size = c.user->clientEnds(ends) ? writeProxyHeader(version, ends, header)
                                                 : writeLocalProxyHeader(version, header);
    const ssize_t sent = ::send(c.transport.fd(), header, size, MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(size)) return 0;
    return sent < 0 ? errno : ENOBUFS;
}

UpstreamConnection& UpstreamPool::reuse(Place& place, BackendUser& user) {
    UpstreamConnection& c = place.idle.popFront();
    c.idle_deadline.clear();
    c.state = UpstreamConnection::State::busy;
    c.heard = false;
    c.user = &user;
    return c;
}

bool UpstreamPool::reusable(UpstreamConnection& c) const {
    const Place& place = *c.place;
    const bool over = place.max_connections > 0 && place.stats->sum(&BackendShard::connections) >
                                                       static_cast<uint64_t>(place.max_connections);
    if (c.fin || c.end || !c.quiet() || !place.accepting || c.epoch != place.epoch || over)
        return false;
    // One that names a client is that client's alone.
    if (place.proxy_protocol != conf::ProxyProtocol::off || c.moves != place.moves) return false;
    // Only among equals: a reload may have changed whom we trust and who we say we are.
    const tls::Stream* const stream = c.transport.tls();
    return (stream ? stream->keeper() : nullptr) == place.tls.get() && !worker_.draining();
}

void UpstreamPool::keep(UpstreamConnection& c) {
    if (!reusable(c)) return discard(c);
    Place& place = *c.place;
    ++c.answered;
    c.user = nullptr;
    c.in.release(worker_.buffers);
    c.parser.reset();
    c.state = UpstreamConnection::State::idle;
    place.idle.pushFront(c);
    worker_.deadlines.set(c.idle_deadline, worker_.now() + place.idle_timeout);
}

void UpstreamPool::discard(UpstreamConnection& c) {
    if (c.state == UpstreamConnection::State::closed) return;
    c.shut(worker_.buffers);
    end(c);
}

void UpstreamPool::abort(UpstreamConnection& c) {
    if (c.state == UpstreamConnection::State::closed) return;
    c.watch.stop();
    c.transport.abort();
    end(c);
}

void UpstreamPool::end(UpstreamConnection& c) {
    c.in.release(worker_.buffers);
    if (c.head) worker_.response_heads.giveBack(*std::exchange(c.head, nullptr));
    c.Link<InPlace>::unlink();
    c.Link<InIdle>::unlink();
    c.idle_deadline.clear();
    c.place->shard->connections.sub();
    worker_.sockets().upstreams.fetch_sub(1, std::memory_order_relaxed);
    c.state = UpstreamConnection::State::closed;
    c.user = nullptr;
    worker_.retire(c);
}

Place& UpstreamPool::placeOf(const BackendView& backend) {
    if (places_.size() <= backend.slot) places_.resize(backend.slot + 1);
    auto& place = places_[backend.slot];
    if (!place) place = std::make_unique<Place>(worker_);
    return *place;
}

void UpstreamPool::adopt(Place& place, const BackendView& b, Duration idle_timeout) {
    place.slot = b.slot;
    place.epoch = b.epoch;
    place.address = b.address;
    place.name = b.name;
    place.accepting = b.accepting;
    place.max_connections = b.max_connections;
    place.idle_timeout = idle_timeout;
    place.stats = b.stats;
    place.shard = &b.stats->shards[static_cast<size_t>(worker_.index())];
}

void UpstreamPool::apply(const View& view) {
    std::vector<bool> present(places_.size());
    for (const PoolView& pool : view.pools) {
        for (const BackendView& b : pool.backends) {
            Place& place = placeOf(b);
            if (b.slot < present.size()) present[b.slot] = true;
            if (place.stats && b.epoch < place.epoch) continue;  // never backwards
            const bool replaced = b.epoch > place.epoch;
            if (replaced) fence(place);
            if (!replaced && !(b.address == place.address)) moved(place);
            adopt(place, b, pool.timeouts.idle);
            if (std::exchange(place.tls, pool.tls) != pool.tls) closeIdle(place);
            if (std::exchange(place.proxy_protocol, pool.proxy_protocol) != pool.proxy_protocol)
                closeIdle(place);
            if (std::exchange(place.http2, pool.http2) != pool.http2) closeIdle(place);
            place.pool_stats = pool.stats;
            place.pool_shard = &pool.stats->shards[static_cast<size_t>(worker_.index())];
            if (replaced) place.silence.replaced();
            if (replaced) place.failures_told = b.stats->failures.load(std::memory_order_relaxed);
            if (!place.accepting) closeIdle(place);
        }
    }
    for (size_t slot = 0; slot < present.size(); ++slot) {
        if (present[slot] || !places_[slot]) continue;
        places_[slot]->accepting = false;
        closeIdle(*places_[slot]);
    }
    for (const auto& [user, stream] : cut_off_) user->onFenced(*stream);
    cut_off_.clear();
}

// Ends the connections now; what becomes of their exchanges is decided when the whole view has been
// taken over, so that none of them can be sent to a place that is about to be fenced too.
void UpstreamPool::fence(Place& place) {
    while (!place.connections.empty()) {
        UpstreamConnection& c = place.connections.front();
        BackendUser* user = c.user;
        abort(c);
        if (user) cut_off_.emplace_back(user, &c);
    }
}

// The same server is somewhere else now, by its name or by the configuration, which is nothing to
// cut what is under way for.
void UpstreamPool::moved(Place& place) {
    ++place.moves;
    closeIdle(place);
}

void UpstreamPool::closeIdle(Place& place) {
    while (!place.idle.empty()) discard(place.idle.front());
    for (auto* s = place.sessions.first(); s; s = place.sessions.after(*s)) s->leave();
}

void UpstreamPool::yieldIdle(const PoolView& pool) {
    for (const BackendView& b : pool.backends)
        if (b.max_connections > 0 && place(b.slot)) closeIdle(*place(b.slot));
}

bool UpstreamPool::yieldOne() {
    for (auto& place : places_) {
        if (!place || place->idle.empty()) continue;
        discard(place->idle.back());
        return true;
    }
    for (auto& place : places_)
        for (auto* s = place ? place->sessions.first() : nullptr; s; s = place->sessions.after(*s))
            if (s->idle()) return s->close(BackendStream::Answer::gone, ""), true;
    return false;
}

void UpstreamPool::closeAll() {
    for (auto& place : places_)
        while (place && !place->sessions.empty())
            place->sessions.front().close(BackendStream::Answer::gone, "closed");
    for (auto& place : places_)
        while (place && !place->connections.empty()) discard(place->connections.front());
}

}  // namespace regrow::serve
