#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/balance/route_table.h"
#include "proxy/net/client_table.h"
#include "proxy/serve/worker_pool.h"
#include "tests/support/peer.h"

namespace regrow::test {

using namespace std::chrono_literals;

// A worker pool with its control loop on a thread of its own, one listener, and one pool of the
// given origins. Tests change `pool` and `listener` before run(), or between and call publish().
class ProxyUnderTest {
  public:
    explicit ProxyUnderTest(const std::vector<Address>& backends = {}) {
        pool.slot = 0;
        pool.name = "wiki";
        pool.hold.on = false;
        for (const Address& address : backends) addBackend(address);
        options.workers = 1;
    }
    ~ProxyUnderTest() {
        if (thread_.joinable()) {
            onControl([this] { workers_.reset(); });
            control_.stop();
            thread_.join();
        }
    }
    ProxyUnderTest(const ProxyUnderTest&) = delete;
    ProxyUnderTest& operator=(const ProxyUnderTest&) = delete;

    BackendView& addBackend(const Address& address) {
        BackendView b;
        b.slot = static_cast<uint32_t>(pool.backends.size());
        b.name = "wiki-" + std::to_string(b.slot + 1);
        b.address = address;
        b.epoch = 1;
        b.accepting = true;
        pool.backends.push_back(b);
        return pool.backends.back();
    }

    void run() {
        const auto workers = static_cast<size_t>(options.workers);
        if (!pool.stats) pool.stats = std::make_shared<PoolStats>(workers);
        for (BackendView& b : pool.backends)
            if (!b.stats) b.stats = std::make_shared<BackendStats>(workers);
        listener.stats = std::make_shared<ListenerStats>(workers);
        if (listener.accept.on()) listener.clients = std::make_shared<net::ClientTable>(1);
        if (!listener.routes)
            listener.routes = std::make_shared<const RouteTable>(
                RouteTable{Router(routes), std::vector<RouteTarget>(routes.size()), nullptr});
        thread_ = std::thread([this] { control_.run(); });
        onControl([this] {
            workers_ = std::make_unique<serve::WorkerPool>(
                control_, options, [this](std::vector<serve::Observation> seen) {
                    const std::lock_guard lock(mutex_);
                    for (auto& o : seen) observations_.push_back(std::move(o));
                });
            listener.slot = *workers_->listen(Address::loopback(0));
            address_ = workers_->boundAddress(listener.slot);
            workers_->start(view());
        });
    }
    // Returns when all workers have acknowledged.
    void publish() {
        for (BackendView& b : pool.backends)
            if (!b.stats)
                b.stats = std::make_shared<BackendStats>(static_cast<size_t>(options.workers));
        auto acknowledged = publishLater();
        if (acknowledged.wait_for(10s) != std::future_status::ready)
            throw std::runtime_error("nobody acknowledged the view");
    }
    std::future<void> publishLater() {
        auto promise = std::make_shared<std::promise<void>>();
        auto future = promise->get_future();
        onControl(
            [this, promise] { workers_->publish(view(), [promise] { promise->set_value(); }); });
        return future;
    }
    std::future<void> drain(Duration deadline) {
        auto promise = std::make_shared<std::promise<void>>();
        auto future = promise->get_future();
        onControl([this, promise, deadline] {
            workers_->drain(deadline, [promise] { promise->set_value(); });
        });
        return future;
    }
    void onControl(const std::function<void()>& task) {
        std::promise<void> done;
        control_.post([&] {
            task();
            done.set_value();
        });
        done.get_future().wait();
    }
    serve::WorkerPool& workers() { return *workers_; }

    Peer connect() { return Peer::connect(address_); }
    const Address& address() const { return address_; }
    // One request over a connection of its own, for when only the answer matters.
    std::string get(const std::string& path = "/") {
        Peer client = connect();
        client.say("GET " + path + " HTTP/1.1\r\nHost: wiki\r\nConnection: close\r\n\r\n");
        return client.hearAll();
    }

    std::vector<serve::Observation> observations() {
        const std::lock_guard lock(mutex_);
        return observations_;
    }
    uint64_t seen(serve::Observation::Kind kind) {
        uint64_t count = 0;
        for (const auto& o : observations())
            if (o.kind == kind) count += o.count;
        return count;
    }

    serve::WorkerPoolOptions options;
    PoolView pool;
    ListenerView listener;
    LimitsView limits;
    std::vector<RouteRule> routes = {RouteRule{}};  // all to the pool; or set listener.routes

  private:
    std::shared_ptr<const View> view() {
        auto v = std::make_shared<View>();
        v->generation = 1;
        v->limits = limits;
        if (pool.balance == conf::Balance::hash && !pool.keys) {
            std::vector<KeyTable::Owner> owners;
            for (const BackendView& b : pool.backends) owners.push_back({b.name, b.weight});
            pool.keys = std::make_shared<const KeyTable>(owners);
        }
        v->pools = {pool};
        v->listeners = {listener};
        return v;
    }

    EventLoop control_;
    std::unique_ptr<serve::WorkerPool> workers_;
    std::thread thread_;
    Address address_;
    std::mutex mutex_;
    std::vector<serve::Observation> observations_;
};

// True as soon as it holds; false after ten seconds.
inline bool eventually(const std::function<bool()>& condition) {
    const Instant give_up = Mono::now() + 10s;
    while (!condition()) {
        if (Mono::now() > give_up) return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

}  // namespace regrow::test
