#include <catch2/catch.hpp>

#include "tests/support/proxy_under_test.h"

using namespace regrow;
using namespace regrow::test;

namespace {

constexpr auto kGet = "GET / HTTP/1.1\r\nHost: wiki\r\n\r\n";
constexpr auto kHi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

void replace(ProxyUnderTest& proxy, const Origin& by) {
    ++proxy.pool.backends[0].epoch;
    proxy.pool.backends[0].address = by.address();
}

}  // namespace

TEST_CASE("a fence ends every connection to the old server before it is acknowledged") {
    Origin old_server, new_server;
    ProxyUnderTest proxy({old_server.address()});
    proxy.pool.hold = {.on = true, .wait = 20s, .requests = 10};
    proxy.run();
    Peer get = proxy.connect();
    get.say(kGet);
    Peer get_server = old_server.accept();
    get_server.hearHead();
    Peer post = proxy.connect();
    post.say("POST / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 2\r\n\r\nab");
    Peer post_server = old_server.accept();
    post_server.hearHead(), post_server.hear(2);
    Peer half = proxy.connect();
    half.say(kGet);
    Peer half_server = old_server.accept();
    half_server.hearHead();
    half_server.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    half.hearHead();
    half.hear(4);
    Peer idle = proxy.connect();
    idle.say(kGet);
    Peer idle_server = old_server.accept();
    idle_server.hearHead();
    idle_server.say(kHi);
    idle.hearHead();

    replace(proxy, new_server);
    proxy.publish();
    for (Peer* p : {&get_server, &post_server, &half_server, &idle_server})
        CHECK(p->hearAll(true).empty());
    CHECK_FALSE(old_server.called(0));
    CHECK(proxy.pool.backends[0].stats->sum(&BackendShard::in_flight) <= 1);

    Peer again = new_server.accept();  // the GET is replayed
    CHECK(again.hearHead().starts_with("GET / "));
    again.say(kHi);
    CHECK(get.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(post.hearHead().starts_with("HTTP/1.1 502 "));  // it may have happened
    CHECK(half.hearAll(true).empty());
    CHECK(proxy.pool.stats->sum(&PoolShard::replayed) == 1);
}

TEST_CASE("what was being uploaded to a fenced server does not reach it any more") {
    Origin old_server, new_server;
    ProxyUnderTest proxy({old_server.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say("PUT / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 100000000\r\n\r\n");
    Peer server = old_server.accept();
    server.hearHead();
    std::thread upload([&] {
        try {
            client.say(std::string(50'000'000, 'x'));  // more than all buffers on the way
        } catch (const std::exception&) {
        }
    });
    REQUIRE(eventually(
        [&] { return proxy.pool.backends[0].stats->sum(&BackendShard::bytes_out) > 100'000; }));
    replace(proxy, new_server);
    proxy.publish();
    const uint64_t sent = proxy.pool.backends[0].stats->sum(&BackendShard::bytes_out);
    CHECK(server.isReset());  // with what the kernel still held
    CHECK(proxy.pool.backends[0].stats->sum(&BackendShard::bytes_out) == sent);
    CHECK(client.hearHead().starts_with("HTTP/1.1 502 "));
    client.finish();
    upload.join();
}

TEST_CASE("a place that is gone, moved or drains keeps what is under way, and nothing else") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    Origin next;
    bool moved = false;
    SECTION("gone") {
        proxy.pool.backends.clear();
    }
    SECTION("gone with its pool") {
        proxy.pool.backends.clear();
        proxy.pool.slot = 1;
        proxy.pool.stats = std::make_shared<PoolStats>(1);
    }
    SECTION("draining") {
        proxy.pool.backends[0].accepting = false;
    }
    SECTION("moved") {
        proxy.pool.backends[0].address = next.address();
        moved = true;
    }
    proxy.publish();
    server.say(kHi);
    CHECK(client.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(server.hearAll().empty());  // and is not kept
    client.hear(2);
    client.say(kGet);
    if (moved) {
        Peer there = next.accept();
        there.hearHead();
        there.say(kHi);
    }
    CHECK(client.hearHead().starts_with(moved ? "HTTP/1.1 200 " : "HTTP/1.1 503 "));
}

TEST_CASE("a fence in the middle of a tunnel ends it") {
    Origin old_server, new_server;
    ProxyUnderTest proxy({old_server.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say("GET / HTTP/1.1\r\nHost: wiki\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    Peer server = old_server.accept();
    server.hearHead();
    server.say("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    client.hearHead();
    replace(proxy, new_server);
    proxy.publish();
    CHECK(server.hearAll(true).empty());
    CHECK(client.hearAll(true).empty());
}

TEST_CASE("a fence in the middle of a TCP session ends it, and the next reaches the new server") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.listener.mode = conf::ListenerMode::tcp;
    proxy.run();
    Peer client = proxy.connect();
    client.say("hello");
    Peer server = origin.accept();
    CHECK(server.hear(5) == "hello");
    server.say("half of it");
    CHECK(client.hear(10) == "half of it");
    ++proxy.pool.backends[0].epoch;
    proxy.publish();
    CHECK(client.isReset());  // a plain end could be taken for all of it
    CHECK(server.isReset());
    CHECK(proxy.pool.backends[0].stats->sum(&BackendShard::in_flight) == 0);
    Peer next = proxy.connect();
    next.say("again");
    CHECK(origin.accept().hear(5) == "again");
}
