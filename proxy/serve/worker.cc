#include "proxy/serve/worker.h"

#include <signal.h>

#include <ctime>

#include "base/log.h"
#include "proxy/http/error_response.h"

namespace regrow::serve {
namespace {

timeval toTimeval(Duration d) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(d).count();
    return {static_cast<time_t>(us / 1'000'000), static_cast<suseconds_t>(us % 1'000'000)};
}

// Signals are for the main thread.
void blockSignals() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

Worker::Worker(Options options, EventLoop& control, Observer::Deliver deliver)
    : deadlines(Mono::now()),
      observer(control, std::move(deliver)),
      access_log(options.access_log_path, options.access_log_json),
      passwords(options.checkers, [this](auto task) { post(std::move(task)); }),
      upstreams(*this),
      options_(std::move(options)),
      scratch_(std::make_unique<Block>(kBlockBytes)) {
    writeDate();
    event_assign(
        &tick_, base(), -1, EV_PERSIST,
        [](evutil_socket_t, short, void* self) { static_cast<Worker*>(self)->onTick(); }, this);
    const timeval tick = toTimeval(DeadlineWheel::kTick);
    event_add(&tick_, &tick);
    event_assign(
        &resume_, base(), -1, 0,
        [](evutil_socket_t, short, void* self) { static_cast<Worker*>(self)->onResume(); }, this);
}

Worker::~Worker() {
    event_del(&tick_);
    event_del(&resume_);
}

void Worker::start(std::shared_ptr<const View> view) {
    applyView(std::move(view));
    thread_ = std::thread([this] {
        blockSignals();
        loop_.run([this] { afterTurn(); });
        closeAll();
        upstreams.closeAll();
        recycleRetired();
        access_log.flush();
    });
}

void Worker::stop() {
    if (!thread_.joinable()) return;
    loop_.stop();
    thread_.join();
}

// Everything that reads the view is brought to the new one before anything acts on it; the old one
// lives until the last exchange that began with it ends.
void Worker::applyView(std::shared_ptr<const View> view) {
    const ViewRef old = std::exchange(view_, ViewRef(new LocalView{std::move(view)}));
    applyListeners();
    applyPools();
    applyLimits();
    upstreams.apply(*view_.local()->view);
    pumpSoon();
}

Worker::LocalListener& Worker::localListener(uint32_t slot) {
    if (listeners_.size() <= slot) listeners_.resize(slot + 1);
    if (!listeners_[slot]) listeners_[slot] = std::make_unique<LocalListener>();
    return *listeners_[slot];
}

void Worker::applyListeners() {
    for (auto& listener : listeners_)
        if (listener) listener->view = nullptr;
    for (const ListenerView& view : view_->listeners) {
        LocalListener& local = localListener(view.slot);
        if (local.removed) continue;
        local.view = &view;
        local.stats = view.stats;
        local.timeouts = view.timeouts;
        local.tls = view.tls;
        local.h2c = view.h2c;
        local.mode = view.mode;
        local.proxy_protocol = view.proxy_protocol;
        if (auto trust = proxy::ProxyTrust::parse(view.trusted_proxies))
            local.trust = *std::move(trust);
        else
            log::error("listener", "trusted_proxies: {}; nobody is trusted", trust.error().message);
        if (local.acceptor && !draining_) local.acceptor->start();
    }
}

void Worker::applyPools() {
    for (auto& queue : queues_)
        if (queue) queue->update(nullptr);
    for (const PoolView& pool : view_->pools) {
        if (queues_.size() <= pool.slot) queues_.resize(pool.slot + 1);
        auto& queue = queues_[pool.slot];
        if (!queue) queue = std::make_unique<HoldQueue>(*this, pool.slot);
        queue->update(&pool);
    }
}

void Worker::addListener(uint32_t slot, int fd) {
    LocalListener& local = localListener(slot);
    local.acceptor = std::make_unique<net::Acceptor>(
        base(), fd, slot,
        [](void* self, UniqueFd client, const Address& peer, uint32_t from) {
            static_cast<Worker*>(self)->accept(std::move(client), peer, from);
        },
        this);
    if (local.view && !draining_) local.acceptor->start();
}

void Worker::removeListener(uint32_t slot) {
    LocalListener& local = localListener(slot);
    if (local.acceptor) local.acceptor->stop();
    local.acceptor.reset();
    local.removed = true;
    local.view = nullptr;
    for (ClientConnection* s = open_.first(); s;) {
        ClientConnection* next = open_.after(*s);
        if (s->listenerSlot() == slot) s->closeWhenIdle();
        s = next;
    }
}

void Worker::accept(UniqueFd fd, const Address& peer, uint32_t slot) {
    ListenerShard& shard = listeners_[slot]->stats->shards[static_cast<size_t>(index())];
    shard.connections.add();
    shard.open.add();
    clientOpened();
    const conf::ProxyProtocol preface = listeners_[slot]->proxy_protocol;
    if (preface == conf::ProxyProtocol::off) return beginClient(std::move(fd), peer, slot, nullptr);
    ProxyPreface& reader = prefaces.take(*this);
    open_.pushBack(reader);
    reader.open(std::move(fd), peer, slot,
                preface == conf::ProxyProtocol::v1   ? ProxyAccepts::v1
                : preface == conf::ProxyProtocol::v2 ? ProxyAccepts::v2
                                                     : ProxyAccepts::any);
}

void Worker::beginClient(UniqueFd fd, const Address& peer, uint32_t slot,
                         const ClientEnds* relayed) {
    uint32_t entry = net::ClientTable::kNone;
    if (!letIn(relayed ? relayed->source : peer, slot, entry)) {
        shardOf(slot).open.sub();
        return clientClosed();
    }
    if (listeners_[slot]->mode == conf::ListenerMode::tcp) {
        TcpSession& session = tcp_sessions.take(*this);
        open_.pushBack(session);
        session.client_entry = entry;
        return session.open(std::move(fd), peer, slot, relayed);
    }
    ClientSession& session = sessions.take(*this);
    open_.pushBack(session);
    session.client_entry = entry;
    session.open(std::move(fd), peer, slot, relayed);
}

void Worker::warnSeldom(uint32_t listener_slot, const Address& peer, std::string_view why) {
    constexpr Duration kSeldom = std::chrono::seconds(10);
    Instant& warned = listeners_[listener_slot]->warned;
    if (warned != Instant{} && now() - warned < kSeldom) return;
    warned = now();
    log::warn("listener", "a connection from {} was closed: {}", peer.text(), why);
}

void Worker::becomeHttp2(ClientSession& session) {
    shardOf(session.listenerSlot()).open.add();  // as the session's end takes one away
    clientOpened();
    H2Session& http2 = h2_sessions.take(*this);
    http2.client_entry = std::exchange(session.client_entry, net::ClientTable::kNone);
    open_.pushBack(http2);
    http2.open(session);
    session.close();
}

void Worker::connectionClosed(ClientConnection& connection) {
    shardOf(connection.listenerSlot()).open.sub();
    clientClosed();
    if (connection.client_entry != net::ClientTable::kNone)
        clientsOf(connection.listenerSlot())
            ->leave(net::ClientTable::What::connections,
                    std::exchange(connection.client_entry, net::ClientTable::kNone));
    retired_clients_.push_back(&connection);
}

void Worker::drain(std::move_only_function<void()> done) {
    for (auto& listener : listeners_)
        if (listener && listener->acceptor) listener->acceptor->stop();
    draining_ = true;
    drained_ = std::move(done);
    for (ClientConnection* s = open_.first(); s;) {
        ClientConnection* next = open_.after(*s);
        s->closeWhenIdle();
        s = next;
    }
}

void Worker::closeAll() {
    while (!open_.empty()) open_.front().end();
}

void Worker::resumeLater(BackendUser& user) {
    if (user.Link<InResume>::linked()) return;
    if (resuming_.empty()) {
        const timeval at_once{};
        event_add(&resume_, &at_once);
    }
    resuming_.pushBack(user);
}

void Worker::onResume() {
    List<BackendUser, InResume> now_due;  // those that yield again wait for the next turn
    now_due.take(resuming_);
    while (!now_due.empty()) now_due.popFront().onResume();
}

void Worker::onTick() {
    deadlines.sweep(now());
    writeDate();
    resumeAccepting();
    for (const PoolView& pool : view_->pools) queue(pool.slot).lookForStalls();
    for (const PoolView& pool : view_->pools)
        if (pool.stats->waiting.load(std::memory_order_relaxed) > 0 && queue(pool.slot).empty())
            upstreams.yieldIdle(pool);
    pumpSoon();
    access_log.flush();
}

void Worker::pumpQueues() {
    for (int round = 0; pump_soon_ && round < 4; ++round) {
        pump_soon_ = false;
        for (auto& queue : queues_)
            if (queue) queue->pump();
    }
}

// HTTP/2 connections write once a turn, all that their streams have by then. Writing makes room,
// room brings more: after a few rounds the others get their turn.
void Worker::flushHttp2() {
    for (int round = 0; round < 4 && !flushing_.empty(); ++round) {
        List<H2Connection, InFlush> due;
        due.take(flushing_);
        while (!due.empty()) due.popFront().flush();
    }
    if (flushing_.empty()) return;
    const timeval at_once{};
    event_add(&resume_, &at_once);
}

void Worker::afterTurn() {
    pumpQueues();
    flushHttp2();
    observer.flush(now());
    recycleRetired();
    if (drained_ && open_.empty()) std::exchange(drained_, nullptr)();
    time_read_ = false;
}

// Only now, because until the turn ends somebody up the stack may still hold a pointer.
void Worker::recycleRetired() {
    for (Exchange* e : retired_exchanges_) exchanges.giveBack(*e);
    retired_exchanges_.clear();
    for (H2Stream* s : retired_streams_) h2_streams.giveBack(*s);
    retired_streams_.clear();
    for (H2BackendStream* s : retired_backend_streams_) h2_backend_streams.giveBack(*s);
    retired_backend_streams_.clear();
    for (H2BackendSession* s : retired_backend_sessions_) h2_backend_sessions.giveBack(*s);
    retired_backend_sessions_.clear();
    for (ClientConnection* c : retired_clients_) c->recycle();
    retired_clients_.clear();
    for (UpstreamConnection* c : retired_connections_) upstreams.recycle(*c);
    retired_connections_.clear();
}

void Worker::writeDate() {
    const time_t second = std::time(nullptr);
    if (second == date_second_) return;
    date_second_ = second;
    proxy::HeadWriter out(date_.data(), date_.size());
    proxy::writeHttpDate(out, second);
    date_size_ = out.size();
}

}  // namespace regrow::serve
