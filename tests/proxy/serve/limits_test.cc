#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/support/proxy_under_test.h"

using namespace regrow;
using namespace regrow::test;

namespace {

constexpr auto kGet = "GET / HTTP/1.1\r\nHost: wiki\r\n\r\n";
constexpr auto kHi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

std::string from(const std::string& address) {
    return "GET / HTTP/1.1\r\nHost: wiki\r\nX-Forwarded-For: " + address + "\r\n\r\n";
}

uint64_t refused(const ProxyUnderTest& proxy, Refusal why) {
    return proxy.listener.stats->refused(why);
}

// One whole request of a client, which the origin answers.
void exchange(Peer& client, Origin& origin, const std::string& request = kGet) {
    client.say(request);
    Peer server = origin.accept();
    server.hearHead();
    server.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    CHECK(client.hearHead().starts_with("HTTP/1.1 200 "));
    client.hear(2);
}

}  // namespace

TEST_CASE("a client above its rate is told when to come again; its connection stays", "[limits]") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.listener.accept.requests_per_second = 1;
    proxy.listener.accept.burst = 2;
    proxy.run();
    Peer client = proxy.connect();
    exchange(client, origin);
    exchange(client, origin);
    for (int i = 0; i < 3; ++i) {
        client.say(kGet);
        const auto head = client.hearHead();
        CHECK(head.starts_with("HTTP/1.1 429 "));
        CHECK(head.find("Retry-After: 1\r\n") != std::string::npos);
        CHECK(head.find("Connection: close") == std::string::npos);
        client.hearUntil("time\n");
    }
    CHECK(refused(proxy, Refusal::rate) == 3);
    CHECK(proxy.pool.stats->sum(&PoolShard::requests) == 2);
}

TEST_CASE("one client's flood is not another's", "[limits]") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.listener.trusted_proxies = {"127.0.0.0/8"};
    proxy.listener.accept.requests_per_second = 1;
    proxy.listener.accept.burst = 1;
    proxy.run();
    Peer client = proxy.connect();
    exchange(client, origin, from("192.0.2.1"));
    for (int i = 0; i < 50; ++i) {
        client.say(from("192.0.2.1"));
        CHECK(client.hearHead().starts_with("HTTP/1.1 429 "));
        client.hearUntil("time\n");
    }
    exchange(client, origin, from("192.0.2.2"));
    exchange(client, origin, from("2001:db8::1"));
    client.say(from("2001:db8::2"));  // the same /64
    CHECK(client.hearHead().starts_with("HTTP/1.1 429 "));
}

TEST_CASE("a client has so many connections; the next is closed", "[limits]") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.listener.accept.connections_per_ip = 2;
    proxy.run();
    Peer one = proxy.connect(), two = proxy.connect();
    exchange(one, origin), exchange(two, origin);
    CHECK(proxy.connect().hearAll(true).empty());
    CHECK(refused(proxy, Refusal::connections) == 1);
    one.close();
    CHECK(eventually([&] {
        Peer again = proxy.connect();
        again.sayAsMuchAsGoes("GET /x HTTP/1.1\r\n\r\n");  // no Host: 400 by us
        return again.hearAll(true).starts_with("HTTP/1.1 400 ");
    }));
    exchange(two, origin);
}

TEST_CASE("a client has so many requests under way", "[limits]") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.listener.accept.concurrent_requests = 1;
    proxy.run();
    Peer one = proxy.connect(), two = proxy.connect();
    one.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    two.say(kGet);
    const auto head = two.hearHead();
    CHECK(head.starts_with("HTTP/1.1 429 "));
    CHECK(head.find("Retry-After: 1\r\n") != std::string::npos);
    two.hearUntil("once\n");
    server.say(kHi);
    one.hearHead(), one.hear(2);
    two.say(kGet);
    server.hearHead();
    server.say(kHi);
    CHECK(two.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(refused(proxy, Refusal::concurrent) == 1);
}

TEST_CASE("who may not come is closed; behind a trusted proxy, told", "[limits]") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    SECTION("denied") {
        proxy.listener.accept.deny = {"127.0.0.0/8"};
        proxy.run();
        CHECK(proxy.connect().hearAll(true).empty());
        CHECK(refused(proxy, Refusal::address) == 1);
    }
    SECTION("not allowed") {
        proxy.listener.accept.allow = {"192.0.2.0/24"};
        proxy.run();
        CHECK(proxy.connect().hearAll(true).empty());
    }
    SECTION("by a proxy") {
        proxy.listener.trusted_proxies = {"127.0.0.0/8"};
        proxy.listener.accept.allow = {"192.0.2.0/24"};
        proxy.listener.accept.deny = {"192.0.2.6"};
        proxy.run();
        Peer client = proxy.connect();
        exchange(client, origin, from("192.0.2.5"));
        for (const auto* other :
             {"192.0.2.6", "203.0.113.1", "192.0.2.5, 203.0.113.1", "unknown", "192.0.2.5, _x"}) {
            client.say(from(other));
            CHECK(client.hearHead().starts_with("HTTP/1.1 403 "));
            client.hearUntil("here\n");
        }
        CHECK(refused(proxy, Refusal::address) == 5);
    }
}

TEST_CASE("a reload changes the limits and forgets nothing", "[limits]") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.listener.accept.connections_per_ip = 1;
    proxy.run();
    Peer one = proxy.connect();
    exchange(one, origin);
    proxy.listener.accept.connections_per_ip = 2;
    proxy.publish();
    Peer two = proxy.connect();
    exchange(two, origin);
    CHECK(proxy.connect().hearAll(true).empty());
    proxy.listener.accept = {};
    proxy.publish();
    Peer three = proxy.connect();
    exchange(three, origin);
    one.close(), two.close();  // counted when they came, and taken off without a guard
    CHECK(eventually([&] { return proxy.listener.stats->sum(&ListenerShard::open) == 1; }));
    proxy.listener.accept.connections_per_ip = 1;
    proxy.publish();
    Peer four = proxy.connect();
    exchange(four, origin);
}

TEST_CASE("above the process's limit clients wait in the backlog until one leaves", "[limits]") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.limits.connections = 2;
    proxy.run();
    Peer one = proxy.connect(), two = proxy.connect();
    exchange(one, origin), exchange(two, origin);
    Peer three = proxy.connect();
    three.say(kGet);
    CHECK_FALSE(origin.called(200));
    exchange(one, origin);  // who is in is served
    two.close();
    Peer server = origin.accept();
    server.hearHead();
    server.say(kHi);
    CHECK(three.hearHead().starts_with("HTTP/1.1 200 "));
}

TEST_CASE("connections to backends stay within the process's limit", "[limits]") {
    Origin a, b;
    ProxyUnderTest proxy({a.address()});
    proxy.limits.upstreams = 1;
    proxy.run();
    Peer one = proxy.connect(), two = proxy.connect();
    one.say(kGet);
    Peer server = a.accept();
    server.hearHead();
    two.say(kGet);
    CHECK(two.hearHead().starts_with("HTTP/1.1 503 "));
    server.say(kHi);
    one.hearHead(), one.hear(2);
    // The idle connection makes room for one to another server.
    proxy.pool.backends[0].accepting = false;
    proxy.addBackend(b.address());
    proxy.publish();
    exchange(one, b);
}

TEST_CASE("beyond its memory the proxy sheds new requests and serves those it has", "[limits]") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.limits.memory = 1;  // the least there can be: 64 blocks
    proxy.run();
    std::vector<Peer> clients, servers;
    bool shed = false;
    for (int i = 0; i < 80 && !shed; ++i) {
        clients.push_back(proxy.connect());
        clients.back().say(kGet);
        if (origin.called(i < 50 ? 10'000 : 300)) {
            servers.push_back(origin.accept());
            servers.back().hearHead();
            continue;
        }
        const auto head = clients.back().hearHead();
        CHECK(head.starts_with("HTTP/1.1 503 "));
        CHECK(head.find("Retry-After: 1\r\n") != std::string::npos);
        shed = true;
    }
    REQUIRE(shed);
    CHECK(refused(proxy, Refusal::memory) == 1);
    for (auto& server : servers) server.say(kHi);
    for (size_t i = 0; i < servers.size(); ++i)
        CHECK(clients[i].hearHead().starts_with("HTTP/1.1 200 "));
    clients.back().hearUntil("is\n");
    clients.back().say(kGet);  // over any of the connections that are free now
    const auto asked = [&] {
        return std::ranges::any_of(servers, [](Peer& server) { return !server.silent(); });
    };
    CHECK(eventually(asked));
}

TEST_CASE("a request has so long, whatever moves", "[limits]") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.listener.timeouts.request = 300ms;
    proxy.run();
    Peer client = proxy.connect();
    client.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    SECTION("no answer yet") {
        CHECK(client.hearHead().starts_with("HTTP/1.1 504 "));
    }
    SECTION("in the middle of one") {
        server.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome");
        CHECK(client.hearHead().starts_with("HTTP/1.1 200 "));
        CHECK(client.hearAll(true).size() < 1000);
    }
}
