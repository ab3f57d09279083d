#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/event_loop.h"
#include "base/http/head.h"
#include "proxy/http/head_writer.h"
#include "proxy/http/trust.h"
#include "proxy/net/listener.h"
#include "proxy/serve/access_log.h"
#include "proxy/serve/buffer.h"
#include "proxy/serve/client_guard.h"
#include "proxy/serve/client_session.h"
#include "proxy/serve/deadline_wheel.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/free_list.h"
#include "proxy/serve/h2_session.h"
#include "proxy/serve/hold_queue.h"
#include "proxy/serve/local_view.h"
#include "proxy/serve/observer.h"
#include "proxy/serve/password_gate.h"
#include "proxy/serve/proxy_preface.h"
#include "proxy/serve/socket_count.h"
#include "proxy/serve/tcp_session.h"
#include "proxy/serve/upstream_pool.h"

namespace regrow::serve {

// One thread that serves requests, sharing nothing with the others but counters: its loop, its
// listening sockets, its clients, its connections to backends, its queue of held requests, and the
// memory they all draw on. Control talks to it by post(). The members below are the worker's tools,
// used by the parts it owns; all of it belongs to its thread.
class Worker {
  public:
    struct Options {
        int index = 0;
        int count = 1;
        std::string access_log_path;
        bool access_log_json = false;
        std::string proxy_name = "regrow";
        SocketCount* sockets = nullptr;  // of all workers
        PasswordCheckers* checkers = nullptr;
    };
    Worker(Options options, EventLoop& control, Observer::Deliver deliver);
    ~Worker();  // after stop()
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Control's side.
    void start(std::shared_ptr<const View> view);
    void post(EventLoop::Task task) { loop_.post(std::move(task)); }
    void stop();  // joins; what is open is closed

    // Posted by control, or called before start().
    void applyView(std::shared_ptr<const View> view);
    void addListener(uint32_t slot, int fd);
    void removeListener(uint32_t slot);
    void drain(std::move_only_function<void()> done);
    void closeAll();

    // For the parts, on the worker's thread.
    event_base* base() { return loop_.base(); }
    Instant now() {  // one clock read a turn
        if (!time_read_) now_ = Mono::now(), time_read_ = true;
        return now_;
    }
    int index() const { return options_.index; }
    int count() const { return options_.count; }
    std::string_view proxyName() const { return options_.proxy_name; }
    bool draining() const { return draining_; }
    std::string_view date() const { return {date_.data(), date_size_}; }
    proxy::HeadWriter headWriter(size_t most = kBlockBytes) {
        return {scratch_->bytes.get(), most};
    }

    char* scratch() { return scratch_->bytes.get(); }  // a block, until somebody else asks

    ViewRef currentView() { return ViewRef(view_.local()); }
    const ListenerView* listener(uint32_t slot) const { return listeners_[slot]->view; }
    ListenerShard& shardOf(const ListenerView& l) {
        return l.stats->shards[static_cast<size_t>(index())];
    }
    ListenerShard& shardOf(uint32_t listener_slot) {
        return listeners_[listener_slot]->stats->shards[static_cast<size_t>(index())];
    }
    bool speaksH2c(uint32_t listener_slot) const { return listeners_[listener_slot]->h2c; }
    const proxy::ProxyTrust& trustOf(uint32_t slot) const { return listeners_[slot]->trust; }
    const std::shared_ptr<const net::TlsServer>& tlsOf(uint32_t slot) const {
        return listeners_[slot]->tls;
    }
    const conf::ListenerTimeouts& timeoutsOf(uint32_t slot) const {
        return listeners_[slot]->timeouts;
    }
    // What `accept` says of this listener; nullptr: nothing.
    ClientGuard* guardOf(uint32_t slot) { return listeners_[slot]->guard.get(); }
    const std::shared_ptr<net::ClientTable>& clientsOf(uint32_t slot) const {
        return listeners_[slot]->clients;
    }
    bool outOfMemory() const { return buffers.lent() > most_blocks_; }
    bool mayConnect() const;  // to one more backend
    SocketCount& sockets() { return *options_.sockets; }
    HoldQueue& queue(uint32_t pool_slot) { return *queues_[pool_slot]; }

    void pumpSoon() { pump_soon_ = true; }  // the hold queues, at the end of this turn
    void resumeLater(BackendUser& user);    // after the loop has looked at everybody else
    void retire(Exchange& exchange) { retired_exchanges_.push_back(&exchange); }
    void retire(UpstreamConnection& connection) { retired_connections_.push_back(&connection); }
    void retire(H2Stream& stream) { retired_streams_.push_back(&stream); }
    void retire(H2BackendStream& stream) { retired_backend_streams_.push_back(&stream); }
    void retire(H2BackendSession& session) { retired_backend_sessions_.push_back(&session); }
    void becomeHttp2(ClientSession& session);    // which ends with it
    void flushLater(H2Connection& connection) {  // at the end of this turn
        if (!connection.Link<InFlush>::linked()) flushing_.pushBack(connection);
    }
    void connectionClosed(ClientConnection& connection);
    // One more of the process's clients, until connectionClosed().
    void clientOpened();
    // A connection whose client is known. `relayed`: by a PROXY header.
    void beginClient(UniqueFd fd, const Address& peer, uint32_t slot, const ClientEnds* relayed);
    // About a peer that is refused, at most once in a while: it may try a thousand times a second.
    void warnSeldom(uint32_t listener_slot, const Address& peer, std::string_view why);

    BufferPool buffers;
    DeadlineWheel deadlines;
    FreeList<http::RequestHead> request_heads;
    FreeList<HeadReader> head_readers;
    FreeList<http::ResponseHead> response_heads;
    FreeList<Exchange> exchanges;
    FreeList<ClientSession> sessions;
    FreeList<ProxyPreface> prefaces;
    FreeList<TcpSession> tcp_sessions;
    FreeList<H2Session> h2_sessions;
    FreeList<H2Stream> h2_streams;
    FreeList<H2BackendSession> h2_backend_sessions;
    FreeList<H2BackendStream> h2_backend_streams;
    H2Setup h2;
    Observer observer;
    AccessLog access_log;
    PasswordGate passwords;
    UpstreamPool upstreams;

  private:
    // What the worker knows of a listener. What it said of itself stays good for connections that
    // outlive it.
    struct LocalListener {
        const ListenerView* view = nullptr;  // nullptr: not in the view, or being removed
        std::shared_ptr<ListenerStats> stats;
        proxy::ProxyTrust trust;
        conf::ListenerTimeouts timeouts;
        std::shared_ptr<const net::TlsServer> tls;  // null: plain
        conf::ListenerMode mode = conf::ListenerMode::http;
        conf::ProxyProtocol proxy_protocol = conf::ProxyProtocol::off;
        bool h2c = false;
        Instant warned{};
        std::unique_ptr<ClientGuard> guard;
        std::shared_ptr<net::ClientTable> clients;
        std::unique_ptr<net::Acceptor> acceptor;
        bool removed = false;
    };

    void accept(UniqueFd fd, const Address& peer, uint32_t slot);
    LocalListener& localListener(uint32_t slot);
    void applyListeners();
    void applyPools();
    void applyLimits();
    bool letIn(const Address& client, uint32_t slot, uint32_t& entry);
    void clientClosed();
    void resumeAccepting();
    void onTick();
    void onResume();
    void afterTurn();
    void pumpQueues();
    void flushHttp2();
    void recycleRetired();
    void writeDate();

    Options options_;
    EventLoop loop_;
    std::thread thread_;
    Instant now_ = Mono::now();
    bool time_read_ = false;
    bool pump_soon_ = false;
    bool draining_ = false;
    bool accept_paused_ = false;  // at the limit of clients
    int64_t most_clients_ = INT64_MAX;
    int64_t most_upstreams_ = INT64_MAX;
    size_t most_blocks_ = SIZE_MAX;
    std::move_only_function<void()> drained_;
    ViewRef view_;
    std::vector<std::unique_ptr<LocalListener>> listeners_;  // by slot
    std::vector<std::unique_ptr<HoldQueue>> queues_;         // by pool slot
    List<ClientConnection, InWorker> open_;
    List<BackendUser, InResume> resuming_;
    List<H2Connection, InFlush> flushing_;
    std::vector<Exchange*> retired_exchanges_;
    std::vector<H2Stream*> retired_streams_;
    std::vector<H2BackendStream*> retired_backend_streams_;
    std::vector<H2BackendSession*> retired_backend_sessions_;
    std::vector<ClientConnection*> retired_clients_;
    std::vector<UpstreamConnection*> retired_connections_;
    std::unique_ptr<Block> scratch_;
    std::array<char, 32> date_{};
    size_t date_size_ = 0;
    time_t date_second_ = 0;
    event tick_{};
    event resume_{};
};

}  // namespace regrow::serve
