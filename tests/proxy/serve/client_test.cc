#include <catch2/catch.hpp>

#include "tests/support/proxy_under_test.h"

using namespace regrow;
using namespace regrow::test;

namespace {

constexpr auto kGet = "GET / HTTP/1.1\r\nHost: wiki\r\n\r\n";
constexpr auto kHi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

}  // namespace

TEST_CASE("a client that sends garbage gets the right status and no second chance") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    const auto [says, status] = GENERATE(
        std::pair<std::string, std::string>{"\x16\x03\x01 hello\r\n\r\n", "400"},
        std::pair<std::string, std::string>{"GET / HTTP/1.1\r\n\r\n", "400"},
        std::pair<std::string, std::string>{"GET / HTTP/1.1\nHost: a\n\n", "400"},
        std::pair<std::string, std::string>{"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505"},
        std::pair<std::string, std::string>{
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "400"},
        std::pair<std::string, std::string>{
            "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(200'000, 'x') + "\r\n\r\n", "431"},
        std::pair<std::string, std::string>{
            "GET /" + std::string(30'000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", "414"});
    Peer client = proxy.connect();
    client.say(says + "GET /smuggled HTTP/1.1\r\nHost: wiki\r\n\r\n");
    const std::string all = client.hearAll();  // not a reset: the answer must survive
    CHECK(all.starts_with("HTTP/1.1 " + status));
    CHECK(all.find("Connection: close\r\n") != std::string::npos);
    CHECK_FALSE(origin.called(0));
    CHECK(proxy.listener.stats->sum(&ListenerShard::bad_requests) == 1);
}

TEST_CASE("a bad chunk in the middle of a body") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say("POST / HTTP/1.1\r\nHost: wiki\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    Peer server = origin.accept();
    server.hearHead();
    CHECK(server.hear(8) == "3\r\nabc\r\n");
    client.say("3;ext=\r\nabc\r\n0\r\n\r\n");
    CHECK(client.hearAll().starts_with("HTTP/1.1 400 "));
    CHECK(server.hearAll(true).empty());  // the backend can see that it did not end
}

TEST_CASE("deadlines towards the client") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    SECTION("half a head, however slowly it goes on") {
        proxy.listener.timeouts.header = 60ms;
        proxy.run();
        Peer client = proxy.connect();
        client.say("GET / HTTP/1.1\r\nHos");
        CHECK(client.hearAll().starts_with("HTTP/1.1 408 "));
    }
    SECTION("nothing at all") {
        proxy.listener.timeouts.header = 60ms;
        proxy.run();
        Peer client = proxy.connect();
        CHECK(client.hearAll().empty());
    }
    SECTION("idle between two requests") {
        proxy.listener.timeouts.idle = 60ms;
        proxy.run();
        Peer client = proxy.connect();
        client.say(kGet);
        Peer server = origin.accept();
        server.hearHead();
        server.say(kHi);
        client.hearHead();
        CHECK(client.hearAll() == "hi");
    }
    SECTION("a body that stops") {
        proxy.listener.timeouts.body = 60ms;
        proxy.run();
        Peer client = proxy.connect();
        client.say("POST / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 10\r\n\r\nhalf");
        CHECK(client.hearAll().starts_with("HTTP/1.1 408 "));
        CHECK(proxy.observations().empty());
    }
    SECTION("a client that does not read") {
        proxy.listener.timeouts.body = 100ms;
        proxy.run();
        Peer client = proxy.connect();
        client.say(kGet);
        Peer server = origin.accept();
        server.hearHead();
        server.say("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        const std::string some(1 << 20, 'x');
        CHECK_THROWS([&] {
            while (true) server.say(some);
        }());
        CHECK(proxy.pool.stats->sum(&PoolShard::client_aborts) == 1);
        CHECK(proxy.observations().empty());
    }
}

TEST_CASE("a client that leaves is nobody's fault but its own") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    SECTION("while it waits for the answer") {
        client.say(kGet);
        Peer server = origin.accept();
        server.hearHead();
        client.reset();
        CHECK(server.hearAll(true).empty());
    }
    SECTION("in the middle of its body") {
        client.say("POST / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 10\r\n\r\nhalf");
        Peer server = origin.accept();
        server.hearHead();
        client.close();
        CHECK(server.hearAll(true) == "half");
    }
    CHECK(eventually([&] { return proxy.pool.stats->sum(&PoolShard::client_aborts) == 1; }));
    CHECK(proxy.observations().empty());
    CHECK(proxy.pool.backends[0].stats->sum(&BackendShard::resets) == 0);
}

TEST_CASE("a client that only closed its sending side gets its answer") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say(kGet);
    client.finish();
    Peer server = origin.accept();
    server.hearHead();
    server.say(kHi);
    CHECK(client.hearAll().ends_with("\r\n\r\nhi"));
}

TEST_CASE("HTTP/1.0 and Connection: close end after one answer, keep-alive is honoured") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    const auto [request, kept] =
        GENERATE(std::pair<std::string, bool>{"GET / HTTP/1.0\r\nHost: wiki\r\n\r\n", false},
                 std::pair<std::string, bool>{
                     "GET / HTTP/1.0\r\nHost: wiki\r\nConnection: keep-alive\r\n\r\n", true},
                 std::pair<std::string, bool>{
                     "GET / HTTP/1.1\r\nHost: wiki\r\nConnection: close\r\n\r\n", false});
    Peer client = proxy.connect();
    client.say(request);
    Peer server = origin.accept();
    server.hearHead();
    server.say(kHi);
    client.hearHead();
    CHECK(client.hear(2) == "hi");
    if (kept) {
        client.say(request);
        server.hearHead();
    } else {
        CHECK(client.hearAll().empty());
    }
}

TEST_CASE("the body of a refused request is never taken for the next request") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.routes = {RouteRule{.host = "wiki", .path = "/wiki/"}};
    proxy.run();
    const std::string smuggled = "GET /wiki/ HTTP/1.1\r\nHost: wiki\r\n\r\n";
    Peer client = proxy.connect();
    client.say("POST /no-route HTTP/1.1\r\nHost: wiki\r\nContent-Length: " +
               std::to_string(smuggled.size()) + "\r\n\r\n" + smuggled);
    CHECK(client.hearAll().starts_with("HTTP/1.1 404 "));
    CHECK_FALSE(origin.called(0));
}

TEST_CASE("a body that comes after its answer meets no reset") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.routes = {RouteRule{.host = "wiki", .path = "/wiki/"}};
    proxy.run();
    Peer client = proxy.connect();
    client.say("POST /no-route HTTP/1.1\r\nHost: wiki\r\nContent-Length: 10\r\n\r\n");
    CHECK(client.hearHead().starts_with("HTTP/1.1 404 "));
    for (const std::string_view part : {"first", "after"}) client.say(part);
    client.hearAll();  // fails on a reset
}
