#include "proxy/serve/worker_pool.h"

#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "base/http/flaw.h"
#include "tests/support/allocation_counter.h"
#include "tests/support/proxy_under_test.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::test;

namespace {

constexpr auto kGet = "GET /a HTTP/1.1\r\nHost: wiki\r\nUser-Agent: me\r\n\r\n";
constexpr auto kHi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

// Says and hears in fixed buffers: the test's own allocations must not be counted.
void exchangeBytes(int client, int server) {
    char bytes[4096];
    const auto hear = [&](int fd) {
        size_t n = 0;
        do {
            const ssize_t got = ::recv(fd, bytes + n, sizeof bytes - n, 0);
            if (got <= 0) std::abort();
            n += static_cast<size_t>(got);
        } while (std::string_view(bytes, n).find("\r\n\r\n") == std::string_view::npos);
        return n;
    };
    (void)::send(client, kGet, std::string_view(kGet).size(), MSG_NOSIGNAL);
    hear(server);
    (void)::send(server, kHi, std::string_view(kHi).size(), MSG_NOSIGNAL);
    hear(client);
}

std::string contentOf(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("in steady state a request allocates nothing, access log included") {
    const TempDir dir;
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.options.access_log_path = dir / "access.log";
    proxy.run();
    Peer client = proxy.connect();
    client.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    server.say(kHi);
    client.hearHead(), client.hear(2);
    for (int i = 0; i < 100; ++i) exchangeBytes(client.fd(), server.fd());
    const uint64_t before = processAllocations();
    for (int i = 0; i < 5000; ++i) exchangeBytes(client.fd(), server.fd());
    CHECK(processAllocations() - before == 0);
}

TEST_CASE("draining finishes what is under way, ends what is idle, and stops accepting") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer idle = proxy.connect();
    idle.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    server.say(kHi);
    idle.hearHead(), idle.hear(2);
    Peer busy = proxy.connect();
    busy.say(kGet);
    server.hearHead();

    auto drained = proxy.drain(20s);
    CHECK(idle.hearAll().empty());
    CHECK(drained.wait_for(0s) == std::future_status::timeout);
    server.say(kHi);
    CHECK(busy.hearHead().find("Connection: close\r\n") != std::string::npos);
    CHECK(busy.hearAll() == "hi");
    REQUIRE(drained.wait_for(10s) == std::future_status::ready);
    CHECK_THROWS(proxy.connect());
}

TEST_CASE("a drain's deadline ends what does not end by itself") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer busy = proxy.connect();
    busy.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    auto drained = proxy.drain(50ms);
    REQUIRE(drained.wait_for(10s) == std::future_status::ready);
    CHECK(busy.hearAll(true).empty());
    CHECK(proxy.observations().empty());
}

TEST_CASE("two workers share a port, and a fence is acknowledged by both") {
    Origin one, two;
    ProxyUnderTest proxy({one.address()});
    proxy.options.workers = 2;
    proxy.pool.hold.on = true;
    proxy.run();
    std::vector<Peer> clients;
    std::vector<Peer> servers;
    const auto shards = [&] { return &proxy.listener.stats->shards; };
    const auto bothServe = [&] {
        return (*shards())[0].requests.get() > 0 && (*shards())[1].requests.get() > 0;
    };
    while (!bothServe()) {
        REQUIRE(clients.size() < 200);
        clients.push_back(proxy.connect());
        clients.back().say(kGet);
        servers.push_back(one.accept());
        servers.back().hearHead();
    }
    proxy.pool.backends[0].epoch = 2;
    proxy.pool.backends[0].address = two.address();
    proxy.publish();
    for (Peer& server : servers) CHECK(server.hearAll(true).empty());
    for (size_t i = 0; i < clients.size(); ++i) {
        servers[i] = two.accept();
        servers[i].hearHead();
        servers[i].say(kHi);
    }
    for (Peer& client : clients) CHECK(client.hearHead().starts_with("HTTP/1.1 200 "));
}

TEST_CASE("a taken port is an error that names it and the remedy, even to a sharer") {
    EventLoop control;
    serve::WorkerPool first(control, {.workers = 2}, [](const auto&) {});
    const auto slot = first.listen(Address::loopback(0));
    REQUIRE(slot);
    serve::WorkerPool second(control, {.workers = 2}, [](const auto&) {});
    const auto taken = second.listen(first.boundAddress(*slot));
    REQUIRE_FALSE(taken);
    CHECK(taken.error().message.find(first.boundAddress(*slot).text()) != std::string::npos);
    CHECK(taken.error().message.find("another process has it") != std::string::npos);
    CHECK(taken.error().source == Source::config);
}

TEST_CASE("a listener that is no longer served is closed, its idle connections too") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    server.say(kHi);
    client.hearHead(), client.hear(2);
    proxy.onControl([&] { proxy.workers().unlisten(proxy.listener.slot); });
    CHECK(client.hearAll().empty());
    CHECK(eventually([&] {
        try {
            proxy.connect();
            return false;
        } catch (const std::exception&) {
            return true;
        }
    }));
}

TEST_CASE("out of descriptors, accepting pauses and goes on later") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    REQUIRE(eventually([&] { return proxy.listener.stats->sum(&ListenerShard::open) == 1; }));
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    Peer second;
    {
        // The next descriptor is the client's own, the one after that would be the proxy's.
        const UniqueFd probe(::dup(0));
        const rlimit tight{.rlim_cur = static_cast<rlim_t>(probe.get()) + 1,
                           .rlim_max = limit.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &tight);
    }
    second = proxy.connect();
    second.say(kGet);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    Peer server = origin.accept();
    server.hearHead();
    server.say(kHi);
    CHECK(second.hearHead().starts_with("HTTP/1.1 200 "));
}

TEST_CASE("the access log tells each request's story and cannot be forged") {
    const TempDir dir;
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.options.access_log_path = dir / "access.log";
    const bool json = GENERATE(false, true);
    proxy.options.access_log_json = json;
    proxy.run();
    Peer client = proxy.connect();
    client.say(
        "GET /a HTTP/1.1\r\nHost: wiki\r\nUser-Agent: x\" 200 \\\x9b\r\nConnection: close\r\n\r\n");
    Peer server = origin.accept();
    server.hearHead();
    server.say(kHi);
    client.hearAll();
    origin.stop();
    server.close();
    proxy.get("/second");
    REQUIRE(eventually(
        [&] { return contentOf(dir / "access.log").find("second") != std::string::npos; }));
    const std::string log = contentOf(dir / "access.log");
    INFO(log);
    CHECK(std::count(log.begin(), log.end(), '\n') == 2);
    if (json) {
        CHECK(log.find(R"("target":"/a")") != std::string::npos);
        CHECK(log.find(R"("agent":"x\" 200 \\\u009b")") != std::string::npos);
        CHECK(log.find(R"("backend":"wiki-1")") != std::string::npos);
        CHECK(log.find(R"("why":"backend-refused")") != std::string::npos);
    } else {
        CHECK(log.find(R"("GET /a HTTP/1.1" 200 2 "-" "x\" 200 \\\x9b")") != std::string::npos);
        CHECK(log.find("wiki/wiki-1 ") != std::string::npos);
        CHECK(log.find("why=backend-refused detail=\"the backend refused the connection\"\n") !=
              std::string::npos);
    }
}

TEST_CASE("the access log says what was wrong with a request, and how much was answered") {
    const TempDir dir;
    ProxyUnderTest proxy;
    proxy.options.access_log_path = dir / "access.log";
    proxy.run();
    Peer client = proxy.connect();
    client.say("GET / HTTP/1.1\r\n\r\n");
    const std::string answer = client.hearAll();
    const std::string body = answer.substr(answer.find("\r\n\r\n") + 4);
    REQUIRE_FALSE(body.empty());
    REQUIRE(eventually([&] { return !contentOf(dir / "access.log").empty(); }));
    const std::string log = contentOf(dir / "access.log");
    INFO(log);
    CHECK(log.find("\"-\" 400 " + std::to_string(body.size()) + " ") != std::string::npos);
    CHECK(log.find("why=client detail=\"" + std::string(http::textOf(http::Flaw::missing_host)) +
                   "\"\n") != std::string::npos);
}
