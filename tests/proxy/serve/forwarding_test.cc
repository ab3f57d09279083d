#include <catch2/catch.hpp>

#include "tests/support/proxy_under_test.h"

using namespace regrow;
using namespace regrow::test;

namespace {

constexpr auto kGet = "GET /page?q=1 HTTP/1.1\r\nHost: wiki\r\n\r\n";
constexpr auto kHi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("two requests over one connection on both sides") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();

    client.say(kGet);
    Peer server = origin.accept();
    const std::string head = server.hearHead();
    CHECK(head.starts_with("GET /page?q=1 HTTP/1.1\r\n"));
    CHECK(contains(head, "Host: wiki\r\n"));
    CHECK(contains(head, "X-Forwarded-For: 127.0.0.1\r\n"));
    server.say(kHi);
    const std::string answer = client.hearHead();
    CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(contains(answer, "Via: 1.1 regrow\r\n"));
    CHECK_FALSE(contains(answer, "Connection: close"));
    CHECK(client.hear(2) == "hi");

    client.say(kGet);
    server.hearHead();  // the same connection
    server.say(kHi);
    client.hearHead();
    CHECK(client.hear(2) == "hi");
    CHECK(eventually(
        [&] { return proxy.pool.backends[0].stats->sum(&BackendShard::responses) == 2; }));
}

TEST_CASE("pipelined requests are answered one after the other") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say(std::string(kGet) +
               "POST /two HTTP/1.1\r\nHost: wiki\r\nContent-Length: 3\r\n\r\nabc" + kGet);
    Peer server = origin.accept();
    server.hearHead();
    CHECK(server.silent());  // the second waits for the first
    server.say(kHi);
    CHECK(server.hearHead().starts_with("POST /two"));
    CHECK(server.hear(3) == "abc");
    server.say(kHi);
    CHECK(server.hearHead().starts_with("GET /page"));
    server.say(kHi);
    for (int i = 0; i < 3; ++i) {
        client.hearHead();
        CHECK(client.hear(2) == "hi");
    }
}

TEST_CASE("bodies of every framing, both ways") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();

    SECTION("a chunked request arrives chunked, whatever its pieces were") {
        client.say(
            "POST / HTTP/1.1\r\nHost: wiki\r\nTransfer-Encoding: "
            "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        Peer server = origin.accept();
        CHECK(contains(server.hearHead(), "Transfer-Encoding: chunked\r\n"));
        CHECK(server.hearUntil("0\r\n\r\n") == "5\r\nabcde\r\n0\r\n\r\n");
        server.say(kHi);
        client.hearHead();
        CHECK(client.hear(2) == "hi");
    }
    SECTION("a chunked response") {
        client.say(kGet);
        Peer server = origin.accept();
        server.hearHead();
        server.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n");
        CHECK(contains(client.hearHead(), "Transfer-Encoding: chunked\r\n"));
        CHECK(client.hear(9) == "4\r\nWiki\r\n");  // passed on before the rest exists
        server.say("5\r\npedia\r\n0\r\n\r\n");
        CHECK(client.hearUntil("0\r\n\r\n") == "5\r\npedia\r\n0\r\n\r\n");
        client.say(kGet);
        server.hearHead();  // kept
        server.say(kHi);
        client.hearHead();
    }
    SECTION("a response until close becomes chunked") {
        client.say(kGet);
        Peer server = origin.accept();
        server.hearHead();
        server.say("HTTP/1.1 200 OK\r\n\r\nall there is");
        server.close();
        CHECK(contains(client.hearHead(), "Transfer-Encoding: chunked\r\n"));
        const std::string body = client.hearUntil("0\r\n\r\n");
        CHECK(contains(body, "all there is"));
    }
    SECTION("for HTTP/1.0 a chunked response lasts until close") {
        client.say("GET / HTTP/1.0\r\nHost: wiki\r\n\r\n");
        Peer server = origin.accept();
        server.hearHead();
        server.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n0\r\n\r\n");
        const std::string all = client.hearAll();
        CHECK(contains(all, "Connection: close\r\n"));
        CHECK(all.ends_with("\r\n\r\nWiki"));
    }
    SECTION("no body after HEAD, 204 and 304, whatever the head says") {
        client.say("HEAD / HTTP/1.1\r\nHost: wiki\r\n\r\n");
        Peer server = origin.accept();
        server.hearHead();
        server.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        CHECK(contains(client.hearHead(), "Content-Length: 1000\r\n"));
        for (const std::string status : {"204 No Content", "304 Not Modified"}) {
            client.say(kGet);
            server.hearHead();
            server.say("HTTP/1.1 " + status + "\r\n\r\n");
            CHECK(client.hearHead().starts_with("HTTP/1.1 " + status));
        }
    }
}

TEST_CASE("interim responses pass through, and Expect: 100-continue is the backend's to answer") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say("PUT / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    Peer server = origin.accept();
    CHECK(contains(server.hearHead(), "Expect: 100-continue\r\n"));
    server.say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    CHECK(contains(client.hearHead(), "Link: </a.css>\r\n"));
    server.say("HTTP/1.1 100 Continue\r\n\r\n");
    CHECK(client.hearHead().starts_with("HTTP/1.1 100 Continue\r\n"));
    client.say("data");
    CHECK(server.hear(4) == "data");
    server.say("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    CHECK(client.hearHead().starts_with("HTTP/1.1 201 Created\r\n"));
}

TEST_CASE(
    "an upgrade that was asked for and granted becomes a tunnel, and either side may end first") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say(
        "GET /chat HTTP/1.1\r\nHost: wiki\r\nConnection: Upgrade\r\nUpgrade: "
        "websocket\r\n\r\nearly");
    Peer server = origin.accept();
    CHECK(contains(server.hearHead(), "Upgrade: websocket\r\n"));
    CHECK(server.silent());  // nothing but HTTP before it is granted
    server.say(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
        "websocket\r\n\r\nhello");
    CHECK(contains(client.hearHead(), "Upgrade: websocket\r\n"));
    CHECK(client.hear(5) == "hello");
    CHECK(server.hear(5) == "early");
    client.say("ping");
    CHECK(server.hear(4) == "ping");
    SECTION("the client") {
        client.finish();
        CHECK(server.hearAll().empty());
        server.say("last words");
        server.close();
        CHECK(client.hearAll() == "last words");
    }
    SECTION("the backend") {
        server.finish();
        CHECK(client.hearAll().empty());
        client.say("last words");
        client.close();
        CHECK(server.hearAll() == "last words");
    }
}

TEST_CASE("an upgrade nobody asked for is a bad answer") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say(kGet);
    Peer server = origin.accept();
    server.hearHead();
    server.say(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    CHECK(client.hearHead().starts_with("HTTP/1.1 502 "));
    CHECK(server.hearAll(true).empty());
}

TEST_CASE("an early answer reaches the client while its body still streams") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say("POST / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 1000000\r\n\r\nsome");
    Peer server = origin.accept();
    server.hearHead();
    server.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    const std::string all = client.hearAll();
    CHECK(all.starts_with("HTTP/1.1 413 "));
    CHECK(contains(all, "Connection: close\r\n"));
    CHECK(all.ends_with("big"));
}

TEST_CASE("what no route wants, and CONNECT, are refused without a backend") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.routes = {RouteRule{.host = "wiki", .path = "/"}};
    proxy.run();
    Peer client = proxy.connect();
    client.say("GET / HTTP/1.1\r\nHost: other\r\n\r\n");
    CHECK(client.hearHead().starts_with("HTTP/1.1 404 "));
    Peer second = proxy.connect();
    second.say("CONNECT wiki:443 HTTP/1.1\r\nHost: wiki:443\r\n\r\n");
    CHECK(second.hearHead().starts_with("HTTP/1.1 405 "));
    CHECK_FALSE(origin.called(0));
}
