#include "proxy/http/client_address.h"
#include "proxy/serve/client_guard.h"
#include "proxy/serve/worker.h"

// What a worker takes: of one client, and of all.
namespace regrow::serve {
namespace {

// Room for a few requests, however small the share.
constexpr size_t kLeastBlocks = 64;
// Of the share, what wide blocks may take away from many small requests.
constexpr size_t kWideShare = 4;

}  // namespace

void Worker::applyLimits() {
    most_clients_ = view_->limits.connections;
    most_upstreams_ = view_->limits.upstreams;
    const size_t share = view_->limits.memory / static_cast<size_t>(count());
    most_blocks_ = share == 0 ? SIZE_MAX : std::max(share / kBlockBytes, kLeastBlocks);
    buffers.limitWide(std::min(BufferPool::kMostWide, most_blocks_ / kWideShare / kWideBlocks));
    for (const ListenerView& view : view_->listeners) {
        LocalListener& local = localListener(view.slot);
        if (view.clients) local.clients = view.clients;
        local.guard = view.accept.on() && local.clients
                          ? std::make_unique<ClientGuard>(view.accept, local.clients)
                          : nullptr;
    }
}

// Whether a client may connect. What a trusted proxy's clients may is asked at each request.
bool Worker::letIn(const Address& client, uint32_t slot, uint32_t& entry) {
    LocalListener& local = *listeners_[slot];
    if (!local.guard || local.trust.trusts(client)) return true;
    if (!local.guard->allows(client)) {
        shardOf(slot).refused[static_cast<size_t>(Refusal::address)].add();
        return false;
    }
    if (!local.guard->countsConnections()) return true;
    const auto entered = local.guard->connected(proxy::clientKey(client), now());
    entry = entered.entry;
    if (!entered.allowed) shardOf(slot).refused[static_cast<size_t>(Refusal::connections)].add();
    return entered.allowed;
}

// One more, or one less, of all clients of the process. At the limit nobody accepts: who comes then
// waits in the backlog, which costs us nothing.
void Worker::clientOpened() {
    const int64_t open = options_.sockets->clients.fetch_add(1, std::memory_order_relaxed) + 1;
    if (open < most_clients_) return;
    accept_paused_ = true;
    for (auto& listener : listeners_)
        if (listener && listener->acceptor) listener->acceptor->pause();
}

void Worker::clientClosed() {
    options_.sockets->clients.fetch_sub(1, std::memory_order_relaxed);
}

void Worker::resumeAccepting() {
    if (accept_paused_ &&
        options_.sockets->clients.load(std::memory_order_relaxed) >= most_clients_)
        return;
    accept_paused_ = false;
    for (auto& listener : listeners_)
        if (listener && listener->acceptor) listener->acceptor->resume();
}

bool Worker::mayConnect() const {
    return options_.sockets->upstreams.load(std::memory_order_relaxed) < most_upstreams_;
}

}  // namespace regrow::serve
