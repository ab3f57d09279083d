#include <catch2/catch.hpp>

#include "tests/support/proxy_under_test.h"

using namespace regrow;
using namespace regrow::test;
using Kind = serve::Observation::Kind;

namespace {

constexpr auto kGet = "GET / HTTP/1.1\r\nHost: wiki\r\n\r\n";
constexpr auto kPost = "POST / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 2\r\n\r\nab";
constexpr auto kHi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

}  // namespace

TEST_CASE("a refusing backend costs the client nothing while another one accepts") {
    Origin dead, alive;
    dead.stop();
    ProxyUnderTest proxy({dead.address(), alive.address()});
    proxy.run();
    for (int i = 0; i < 4; ++i) {
        Peer client = proxy.connect();
        client.say(kPost);
        Peer server = alive.accept();
        server.hearHead();
        CHECK(server.hear(2) == "ab");
        server.say(kHi);
        CHECK(client.hearHead().starts_with("HTTP/1.1 200 "));
    }
    CHECK(eventually([&] { return proxy.seen(Kind::connect_failure) > 0; }));
    CHECK(proxy.pool.stats->sum(&PoolShard::retries) > 0);
    CHECK(proxy.pool.stats->sum(&PoolShard::errors) == 0);
}

TEST_CASE("a lone refusing backend is a 502 when nothing is held, and control hears of it") {
    Origin origin;
    origin.stop();
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    CHECK(proxy.get().starts_with("HTTP/1.1 502 "));
    REQUIRE(eventually([&] { return proxy.seen(Kind::connect_failure) == 1; }));
    CHECK(proxy.observations()[0].detail == "Connection refused");
    CHECK(proxy.observations()[0].epoch == 1);
    origin.restart();
    Peer client = proxy.connect();
    client.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    server.say(kHi);
    client.hearHead();
    CHECK(eventually(
        [&] { return proxy.seen(Kind::success) == 1; }));  // the first after a failure is news
}

TEST_CASE("a kept connection that the backend closed is replaced without anybody noticing") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    server.say(kHi);
    client.hearHead(), client.hear(2);
    SECTION("before the next request") {
        server.close();
        client.say(kPost);
    }
    SECTION("as the next request arrives") {
        client.say(kGet);
        server.hearHead();
        server.close();
    }
    Peer fresh = origin.accept();
    fresh.hearHead();
    fresh.say(kHi);
    CHECK(client.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(proxy.observations().empty());
}

TEST_CASE("no answer: what may be repeated goes to another backend, what may not is a 502") {
    Origin one, two;
    ProxyUnderTest proxy({one.address(), two.address()});
    proxy.pool.balance = conf::Balance::round_robin;
    proxy.run();
    Peer client = proxy.connect();
    SECTION("PUT") {
        client.say("PUT / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 2\r\n\r\nab");
        Peer first = one.accept();
        first.hearHead(), first.hear(2);
        first.reset();
        Peer second = two.accept();
        CHECK(second.hearHead().starts_with("PUT / "));
        CHECK(second.hear(2) == "ab");
        second.say(kHi);
        CHECK(client.hearHead().starts_with("HTTP/1.1 200 "));
    }
    SECTION("POST") {
        client.say(kPost);
        Peer first = one.accept();
        first.hearHead(), first.hear(2);
        first.close();
        CHECK(client.hearHead().starts_with("HTTP/1.1 502 "));
        CHECK_FALSE(two.called(0));
    }
    CHECK(eventually([&] { return proxy.seen(Kind::reset) == 1; }));
}

TEST_CASE("503 to an idempotent request is asked of another backend once") {
    Origin one, two;
    ProxyUnderTest proxy({one.address(), two.address()});
    proxy.pool.balance = conf::Balance::round_robin;
    proxy.run();
    Peer client = proxy.connect();
    client.say(kGet);
    Peer first = one.accept();
    first.hearHead();
    first.say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    Peer second = two.accept();
    second.hearHead();
    second.say("HTTP/1.1 503 Also\r\nContent-Length: 0\r\n\r\n");
    CHECK(client.hearHead().starts_with("HTTP/1.1 503 Also"));
}

TEST_CASE("what a backend gets wrong is a 502 and the end of that connection") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say(kPost);
    Peer server = origin.accept();
    server.hearHead(), server.hear(2);
    std::string interims;
    for (int i = 0; i < 17; ++i) interims += "HTTP/1.1 103 Early Hints\r\n\r\n";
    const auto [says, answer] = GENERATE_COPY(
        std::pair<std::string, std::string>{"garbage", "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
        std::pair<std::string, std::string>{
            "both",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: "
            "chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"},
        std::pair<std::string, std::string>{
            "two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi"},
        std::pair<std::string, std::string>{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi"},
        std::pair<std::string, std::string>{"interim flood", interims},
        std::pair<std::string, std::string>{
            "huge head", "HTTP/1.1 200 OK\r\nA: " + std::string(60000, 'a') + "\r\n\r\n"},
        std::pair<std::string, std::string>{"cut head", "HTTP/1.1 200 OK\r\nContent-Le"});
    INFO(says);
    server.say(answer);
    if (says == "cut head") server.close();
    std::string head;
    while ((head = client.hearHead()).starts_with("HTTP/1.1 103 ")) continue;
    CHECK(head.starts_with("HTTP/1.1 502 "));
    if (says != "cut head") CHECK(server.hearAll(true).empty());
    CHECK(eventually(
        [&] { return proxy.seen(says == "cut head" ? Kind::reset : Kind::bad_answer) == 1; }));
}

// The reset's event is often one with that of the bytes before it, and then looks like more bytes.
TEST_CASE("a reset right behind bytes is noticed at once") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    const std::string_view says = GENERATE("H", "HTTP/1.1 103 Early Hints\r\n\r\n",
                                           "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                                           "HTTP/1.1 200 OK\r\n\r\nuntil close");
    INFO(says);
    for (int i = 0; i < 40; ++i) {
        Peer client = proxy.connect();
        client.say(kPost);
        Peer server = origin.accept();
        server.hearHead(), server.hear(2);
        server.say(says);
        server.reset();
        std::string head;
        while (head.empty() || head.starts_with("HTTP/1.1 103 "))
            head = client.hearUntil("\r\n\r\n");
        client.finish();
        client.hearAll(true);
    }
}

TEST_CASE("a backend that speaks before it is asked is heard") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    for (int i = 0; i < 20; ++i) {
        Peer client = proxy.connect();
        Peer server;
        std::thread eager([&] {
            server = origin.accept();
            server.say("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nfull");
        });
        client.say(kPost);
        CHECK(client.hearHead().starts_with("HTTP/1.1 503 "));
        CHECK(client.hear(4) == "full");
        eager.join();
    }
}

TEST_CASE("a response that breaks off ends the client's connection visibly") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    SECTION("with a length") {
        client.say(kGet);
        Peer server = origin.accept();
        server.hearHead();
        server.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        client.hearHead();
        server.close();
        CHECK(client.hearAll(true) == "half");
    }
    SECTION("in the middle of chunks") {
        client.say(kGet);
        Peer server = origin.accept();
        server.hearHead();
        server.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        client.hearHead();
        client.hear(9);
        server.say("nonsense\r\n");
        CHECK(client.hearAll(true).empty());  // and no last chunk
    }
    SECTION("to an old client, which can only see a reset") {
        client.say("GET / HTTP/1.0\r\nHost: wiki\r\n\r\n");
        Peer server = origin.accept();
        server.hearHead();
        server.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        client.hearHead();
        server.close();
        CHECK(client.isReset());
    }
}

TEST_CASE("a backend that breaks off every response has no successes in between") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    for (size_t i = 1; i <= 3; ++i) {
        Peer client = proxy.connect();
        client.say(kGet);
        Peer server = origin.accept();
        server.hearHead();
        server.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        client.hearHead();
        server.close();
        CHECK(eventually([&] { return proxy.seen(Kind::reset) == i; }));
    }
    CHECK(proxy.seen(Kind::success) == 0);
}

TEST_CASE("what any client can have for the asking says nothing about the backend") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    for (const std::string status : {"501", "505", "500"}) {
        Peer client = proxy.connect();
        client.say(kPost);
        Peer server = origin.accept();
        server.hearHead();
        server.say("HTTP/1.1 " + status + " No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        CHECK(client.hearHead().starts_with("HTTP/1.1 " + status));
    }
    Peer client = proxy.connect();
    client.say(kPost);
    origin.accept().close();  // told after all the others
    CHECK(client.hearHead().starts_with("HTTP/1.1 502"));
    REQUIRE(eventually([&] { return proxy.seen(Kind::reset) == 1; }));
    CHECK(proxy.seen(Kind::status_5xx) == 1);
}

TEST_CASE("bytes after a response discard the connection they came on") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    server.say(std::string(kHi) + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    client.hearHead();
    CHECK(client.hear(2) == "hi");
    client.say(kGet);
    Peer fresh = origin.accept();
    fresh.hearHead();
    fresh.say(kHi);
    client.hearHead();
    CHECK(client.hear(2) == "hi");
}

TEST_CASE("deadlines towards the backend") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    SECTION("no first byte") {
        proxy.pool.timeouts.first_byte = 50ms;
        proxy.run();
        Peer client = proxy.connect();
        client.say(kGet);
        CHECK(client.hearHead().starts_with("HTTP/1.1 504 "));
        CHECK(eventually([&] { return proxy.seen(Kind::no_first_byte) == 1; }));
    }
    SECTION("silence in the body") {
        proxy.pool.timeouts.idle = 50ms;
        proxy.run();
        Peer client = proxy.connect();
        client.say(kGet);
        Peer server = origin.accept();
        server.hearHead();
        server.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        client.hearHead();
        CHECK(client.hearAll(true) == "half");
        CHECK(proxy.pool.backends[0].stats->sum(&BackendShard::timeouts) == 1);
    }
    SECTION("an idle connection") {
        proxy.pool.timeouts.idle = 50ms;
        proxy.run();
        Peer client = proxy.connect();
        client.say(kGet);
        Peer server = origin.accept();
        server.hearHead();
        server.say(kHi);
        CHECK(server.hearAll().empty());
        CHECK(eventually(
            [&] { return proxy.pool.backends[0].stats->sum(&BackendShard::connections) == 0; }));
    }
}
