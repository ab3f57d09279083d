#include <catch2/catch.hpp>

#include "tests/support/proxy_under_test.h"

using namespace regrow;
using namespace regrow::test;

namespace {

constexpr auto kGet = "GET / HTTP/1.1\r\nHost: wiki\r\n\r\n";
constexpr auto kHi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

bool waiting(ProxyUnderTest& proxy, int count) {
    return eventually([&] { return proxy.pool.stats->waiting.load() == count; });
}

void answer(Origin& origin) {
    Peer server = origin.accept();
    server.hearHead();
    server.say(kHi);
}

}  // namespace

TEST_CASE("requests wait for a backend and are sent on, body and all, when one accepts") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.pool.hold = {.on = true, .wait = 20s, .requests = 10};
    proxy.pool.backends[0].accepting = false;
    proxy.run();
    Peer get = proxy.connect();
    get.say(kGet);
    REQUIRE(waiting(proxy, 1));
    Peer post = proxy.connect();
    post.say("POST /second HTTP/1.1\r\nHost: wiki\r\nContent-Length: 4\r\n\r\nbo");
    REQUIRE(waiting(proxy, 2));
    post.say("dy");
    CHECK_FALSE(origin.called(0));

    proxy.pool.backends[0].accepting = true;
    proxy.publish();
    Peer first = origin.accept();
    CHECK(first.hearHead().starts_with("GET / "));
    Peer second = origin.accept();
    CHECK(second.hearHead().starts_with("POST /second "));
    CHECK(second.hear(4) == "body");
    first.say(kHi);
    second.say(kHi);
    CHECK(get.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(post.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(proxy.pool.stats->waiting.load() == 0);
    CHECK(proxy.pool.stats->sum(&PoolShard::held) == 2);
    CHECK(proxy.pool.stats->sum(&PoolShard::released) == 2);
}

TEST_CASE("the hold queue has bounds: a number, a time, and only those who still want it") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.pool.backends[0].accepting = false;
    proxy.pool.hold = {.on = true, .wait = 20s, .requests = 1};
    SECTION("one too many") {
        proxy.run();
        Peer first = proxy.connect();
        first.say(kGet);
        REQUIRE(waiting(proxy, 1));
        const std::string refused = proxy.get();
        CHECK(refused.starts_with("HTTP/1.1 503 "));
        CHECK(refused.find("Retry-After: ") != std::string::npos);
    }
    SECTION("too long") {
        proxy.pool.hold.wait = 60ms;
        proxy.run();
        const std::string refused = proxy.get();
        CHECK(refused.starts_with("HTTP/1.1 503 "));
        CHECK(refused.find("Retry-After: ") != std::string::npos);
        CHECK(proxy.pool.stats->sum(&PoolShard::hold_expired) == 1);
        CHECK(proxy.pool.stats->waiting.load() == 0);
    }
    SECTION("the client leaves") {
        proxy.run();
        Peer first = proxy.connect();
        first.say(kGet);
        REQUIRE(waiting(proxy, 1));
        first.close();
        CHECK(waiting(proxy, 0));
        CHECK(proxy.pool.stats->sum(&PoolShard::client_aborts) == 1);
    }
    SECTION("the client leaves in the middle of a body that is too long to be kept") {
        proxy.run();
        Peer first = proxy.connect();
        first.say("PUT / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 1000000\r\n\r\n");
        first.sayAsMuchAsGoes(std::string(90'000, 'x'));
        REQUIRE(waiting(proxy, 1));
        first.close();
        CHECK(waiting(proxy, 0));
    }
    SECTION("off") {
        proxy.pool.hold.on = false;
        proxy.run();
        CHECK(proxy.get().starts_with("HTTP/1.1 503 "));
    }
}

TEST_CASE("the lone backend dies and comes back before control has said a word: nobody notices") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.pool.hold = {.on = true, .wait = 20s, .requests = 100};
    proxy.run();
    Peer in_flight = proxy.connect();
    in_flight.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    origin.stop();
    server.reset();
    Peer post = proxy.connect();  // never sent: any method may wait
    post.say("POST /new HTTP/1.1\r\nHost: wiki\r\nContent-Length: 1\r\n\r\nx");
    REQUIRE(waiting(proxy, 2));
    origin.restart();
    for (int i = 0; i < 2; ++i) {
        Peer again = origin.accept();
        if (again.hearHead().starts_with("POST ")) again.hear(1);
        again.say(kHi);
    }
    CHECK(in_flight.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(post.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(proxy.pool.stats->sum(&PoolShard::errors) == 0);
}

TEST_CASE("the lone backend dies with more in flight than the retry budget pays for") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.pool.hold = {.on = true, .wait = 20s, .requests = 100};
    proxy.pool.retry.budget = 0;
    proxy.run();
    constexpr int kInFlight = 30;
    std::vector<Peer> clients;
    std::vector<Peer> servers;
    for (int i = 0; i < kInFlight; ++i) {
        clients.push_back(proxy.connect());
        clients.back().say(kGet);
        servers.push_back(origin.accept());
        servers.back().hearHead();
    }
    SECTION("and comes back: nobody notices") {
        origin.stop();
        for (Peer& server : servers) server.reset();
        REQUIRE(waiting(proxy, kInFlight));
        REQUIRE(eventually([&] {
            return proxy.pool.backends[0].stats->sum(&BackendShard::connect_failures) > 0;
        }));
        origin.restart();
        for (int i = 0; i < kInFlight; ++i) answer(origin);
        for (Peer& client : clients) CHECK(client.hearHead().starts_with("HTTP/1.1 200 "));
        CHECK(proxy.pool.stats->sum(&PoolShard::errors) == 0);
    }
    SECTION("twice: nobody notices") {
        origin.stop();
        for (Peer& server : servers) server.reset();
        REQUIRE(waiting(proxy, kInFlight));
        REQUIRE(eventually([&] {
            return proxy.pool.backends[0].stats->sum(&BackendShard::connect_failures) > 0;
        }));
        origin.restart();
        answer(origin);
        servers.clear();
        for (int i = 1; i < kInFlight; ++i) {
            servers.push_back(origin.accept());
            servers.back().hearHead();
        }
        origin.stop();
        for (Peer& server : servers) server.reset();
        REQUIRE(waiting(proxy, kInFlight - 1));
        origin.restart();
        for (int i = 1; i < kInFlight; ++i) answer(origin);
        for (Peer& client : clients) CHECK(client.hearHead().starts_with("HTTP/1.1 200 "));
        CHECK(proxy.pool.stats->sum(&PoolShard::errors) == 0);
    }
    SECTION("no, it fails them and goes on: a few are sent again, and all are told") {
        for (Peer& server : servers) server.reset();
        for (int i = 0; i < 4; ++i) {  // three that the budget begins with, and its credit
            Peer again = origin.accept();
            again.hearHead();
            again.reset();
        }
        for (Peer& client : clients) CHECK(client.hearHead().starts_with("HTTP/1.1 502 "));
        CHECK_FALSE(origin.called(0));
        CHECK(proxy.pool.stats->sum(&PoolShard::retries) == 4);
    }
}

TEST_CASE("held requests leave no faster than the release rate") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.pool.hold = {.on = true, .wait = 20s, .requests = 100};
    proxy.pool.backends[0].accepting = false;
    proxy.pool.release_per_second = 20;
    proxy.run();
    std::vector<Peer> clients;
    for (int i = 0; i < 6; ++i) {
        clients.push_back(proxy.connect());
        clients.back().say(kGet);
    }
    REQUIRE(waiting(proxy, 6));
    const Instant begin = Mono::now();
    proxy.pool.backends[0].accepting = true;
    proxy.publish();
    for (int i = 0; i < 6; ++i) answer(origin);
    for (Peer& client : clients) CHECK(client.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(Mono::now() - begin >= 150ms);  // six at 20 a second, the first two at once at most
}

TEST_CASE("beyond max_connections requests queue, also when nothing is held for dead backends") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.pool.backends[0].max_connections = 1;
    proxy.run();
    Peer one = proxy.connect();
    one.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    Peer two = proxy.connect();
    two.say("GET /two HTTP/1.1\r\nHost: wiki\r\n\r\n");
    REQUIRE(waiting(proxy, 1));
    CHECK_FALSE(origin.called(0));
    server.say(kHi);
    CHECK(one.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(server.hearHead().starts_with("GET /two "));  // the same connection, at once
    server.say(kHi);
    CHECK(two.hearHead().starts_with("HTTP/1.1 200 "));
}

TEST_CASE("those who wait for a pool that is removed are told so") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.pool.hold = {.on = true, .wait = 20s, .requests = 10};
    proxy.pool.backends[0].accepting = false;
    proxy.run();
    Peer client = proxy.connect();
    client.say(kGet);
    REQUIRE(waiting(proxy, 1));
    proxy.pool.slot = 1;  // another pool in its stead
    proxy.pool.stats = std::make_shared<PoolStats>(1);
    proxy.publish();
    CHECK(client.hearHead().starts_with("HTTP/1.1 503 "));
}
