#include "proxy/serve/upstream_pool.h"

#include <algorithm>

#include "proxy/net/connector.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {

UpstreamPool::~UpstreamPool() {
    closeAll();
}

UpstreamPool::Acquired UpstreamPool::acquire(const BackendView& backend, Exchange& exchange,
                                             bool fresh) {
    Place& place = placeOf(backend);
    if (backend.epoch < place.epoch) return {nullptr, 0, true};
    if (!fresh && !place.idle.empty()) return {&reuse(place, exchange), 0, false};

    net::Connecting connecting = net::startConnect(place.address);
    if (!connecting.fd) return {nullptr, connecting.error, false};
    UpstreamConnection& c = connections_.take(*this);
    c.reset();
    c.place = &place;
    c.epoch = place.epoch;
    c.answered = 0;
    c.exchange = &exchange;
    c.parser.reset();
    c.state = connecting.connected ? UpstreamConnection::State::busy
                                   : UpstreamConnection::State::connecting;
    c.transport.adopt(std::move(connecting.fd));
    c.watch.start(worker_.base(), c.transport.fd(), UpstreamConnection::onEvent, &c);
    place.connections.pushBack(c);
    place.shard->connections.add();
    return {&c, 0, false};
}

UpstreamConnection& UpstreamPool::reuse(Place& place, Exchange& exchange) {
    UpstreamConnection& c = place.idle.popFront();
    c.idle_deadline.clear();
    c.state = UpstreamConnection::State::busy;
    c.exchange = &exchange;
    return c;
}

void UpstreamPool::keep(UpstreamConnection& c) {
    Place& place = *c.place;
    const bool over = place.max_connections > 0 && place.stats->sum(&BackendShard::connections) >
                                                       static_cast<uint64_t>(place.max_connections);
    if (c.fin || c.end || !c.drained() || !place.accepting || c.epoch != place.epoch || over ||
        worker_.draining()) {
        discard(c);
        return;
    }
    ++c.answered;
    c.exchange = nullptr;
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
    c.state = UpstreamConnection::State::closed;
    c.exchange = nullptr;
    worker_.retire(c);
}

Place& UpstreamPool::placeOf(const BackendView& backend) {
    if (places_.size() <= backend.slot) places_.resize(backend.slot + 1);
    auto& place = places_[backend.slot];
    if (!place) place = std::make_unique<Place>();
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
            const bool replaced = b.epoch > place.epoch || !(b.address == place.address);
            if (replaced) fence(place);
            adopt(place, b, pool.timeouts.idle);
            if (replaced) place.failures_told = b.stats->failures.load(std::memory_order_relaxed);
            if (!place.accepting) closeIdle(place);
        }
    }
    for (size_t slot = 0; slot < present.size(); ++slot) {
        if (present[slot] || !places_[slot]) continue;
        places_[slot]->accepting = false;
        fence(*places_[slot]);
    }
    for (Exchange* exchange : cut_off_) exchange->onFenced();
    cut_off_.clear();
}

// Ends the connections now; what becomes of their exchanges is decided when the whole view has been
// taken over, so that none of them can be sent to a place that is about to be fenced too.
void UpstreamPool::fence(Place& place) {
    while (!place.connections.empty()) {
        UpstreamConnection& c = place.connections.front();
        Exchange* exchange = c.exchange;
        abort(c);
        if (exchange) cut_off_.push_back(exchange);
    }
}

void UpstreamPool::closeIdle(Place& place) {
    while (!place.idle.empty()) discard(place.idle.front());
}

void UpstreamPool::yieldIdle(const PoolView& pool) {
    for (const BackendView& b : pool.backends)
        if (b.max_connections > 0 && place(b.slot)) closeIdle(*place(b.slot));
}

void UpstreamPool::closeAll() {
    for (auto& place : places_)
        while (place && !place->connections.empty()) discard(place->connections.front());
}

void UpstreamConnection::onEvents(short what) {
    note(what);
    switch (state) {
        case State::connecting: onConnectDone(); return;
        case State::busy: exchange->onUpstreamEvent(what); return;
        case State::idle: pool_.discard(*this); return;  // closed, or bytes nobody asked for
        case State::closed: return;
    }
}

void UpstreamConnection::onConnectDone() {
    if (const int failed = transport.connectError(); failed != 0) {
        exchange->onConnectFailed(failed);
        return;
    }
    state = State::busy;
    exchange->onConnected();
}

void UpstreamConnection::onIdleTooLong() {
    pool_.discard(*this);
}

}  // namespace regrow::serve
