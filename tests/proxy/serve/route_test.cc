#include <catch2/catch.hpp>

#include "base/file.h"
#include "conf/load.h"
#include "proxy/control/routes.h"
#include "tests/support/proxy_under_test.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::test;

namespace {

constexpr auto kHi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
// "secret", with the fewest rounds there are.
const std::string kUsers =
    "anna:$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/"
    "otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/\n";

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// The routes as they stand in a file, one flow map each.
std::shared_ptr<const RouteTable> table(const std::string& routes, const std::string& more = "") {
    const auto config =
        conf::parse("listeners: [{listen: 127.0.0.1:80, routes: [" + routes + "]" + more +
                        "}]\npools: {wiki: {backends: [{name: a, address: "
                        "127.0.0.1:1}]}}",
                    "f");
    if (!config) throw std::runtime_error(config.error().front().text());
    const auto tables = control::buildRoutes(*config);
    if (!tables) throw std::runtime_error(tables.error().message);
    return tables->front();
}

struct Routed {
    explicit Routed(const std::string& routes, const std::string& more = "")
        : proxy({origin.address()}) {
        proxy.listener.routes = table(routes, more);
        proxy.run();
        client = proxy.connect();
    }
    // What the origin hears as head when the client says this; it answers kHi.
    std::string passedOn(const std::string& said) {
        client.say(said);
        if (!connected) server = origin.accept(), connected = true;
        const std::string head = server.hearHead();
        server.say(kHi);
        return head;
    }
    std::string answer() {
        const std::string head = client.hearHead();
        return head + client.hear(2);
    }

    Origin origin;
    ProxyUnderTest proxy;
    Peer client, server;
    bool connected = false;
};

std::string get(const std::string& path, const std::string& fields = "") {
    return "GET " + path + " HTTP/1.1\r\nHost: wiki\r\n" + fields + "\r\n";
}

const std::string kAnna = "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n";   // anna:secret
const std::string kWrong = "Authorization: Basic YW5uYTpndWVzcw==\r\n";  // anna:guess

}  // namespace

TEST_CASE("a redirect leads elsewhere, and the connection goes on") {
    Routed r(
        "{path: /old/, redirect: {to: 'https://{host}/new/{rest}{query}', status: 308}}, "
        "{pool: wiki}");
    r.client.say(get("/old/a%2Fb?q=1"));
    const auto head = r.client.hearHead();
    CHECK(head.starts_with("HTTP/1.1 308 Permanent Redirect\r\n"));
    CHECK(contains(head, "Location: https://wiki/new/a%2Fb?q=1\r\n"));
    CHECK(contains(head, "Content-Length: 0\r\n"));
    CHECK_FALSE(contains(head, "Via:"));
    CHECK(r.passedOn(get("/")).starts_with("GET / HTTP/1.1\r\n"));
    CHECK(r.answer().ends_with("hi"));
}

TEST_CASE("a fixed answer needs no backend; HEAD gets its head") {
    Routed r(
        "{exact: /robots.txt, respond: {body: 'none', content_type: text/plain}, "
        "response_headers: {set: {X-A: '1'}}}, {pool: wiki}");
    r.client.say(get("/robots.txt"));
    auto head = r.client.hearHead();
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(contains(head, "Content-Type: text/plain\r\n"));
    CHECK(contains(head, "X-A: 1\r\n"));
    CHECK(r.client.hear(4) == "none");
    r.client.say("HEAD /robots.txt HTTP/1.1\r\nHost: wiki\r\nConnection: close\r\n\r\n");
    const auto rest = r.client.hearAll();
    CHECK(contains(rest, "Content-Length: 4\r\n"));
    CHECK(rest.ends_with("\r\n\r\n"));
}

TEST_CASE("a prefix is rewritten, the rest of the target stays as it was") {
    Routed r(
        "{path: /app/, pool: wiki, rewrite: {prefix: /}}, "
        "{exact: /one, pool: wiki, rewrite: {prefix: /two}}");
    CHECK(r.passedOn(get("/%61pp/x%2Fy/?q=/app/")).starts_with("GET /x%2Fy/?q=/app/ HTTP/1.1"));
    r.answer();
    CHECK(r.passedOn(get("/one?z")).starts_with("GET /two?z HTTP/1.1\r\n"));
    r.answer();
}

TEST_CASE("fields are set, added and removed on both ways") {
    Routed r(
        "{pool: wiki, "
        "request_headers: {set: {Host: inner, X-A: new, X-Forwarded-Prefix: /p}, "
        "add: {X-B: two}, remove: [Cookie]}, "
        "response_headers: {set: {Server: none}, remove: [X-Powered-By]}}");
    r.client.say(get("/", "X-A: old\r\nx-a: older\r\nX-B: one\r\nCookie: c\r\n"));
    r.server = r.origin.accept();
    const auto head = r.server.hearHead();
    CHECK(contains(head, "Host: inner\r\n"));
    CHECK(contains(head, "X-Forwarded-Host: wiki\r\n"));
    CHECK(contains(head, "X-A: new\r\n"));
    CHECK_FALSE(contains(head, "old"));
    CHECK(contains(head, "X-B: one\r\n"));
    CHECK(contains(head, "X-B: two\r\n"));
    CHECK(contains(head, "X-Forwarded-Prefix: /p\r\n"));
    CHECK_FALSE(contains(head, "Cookie"));
    r.server.say("HTTP/1.1 200 OK\r\nServer: x\r\nX-Powered-By: y\r\nContent-Length: 0\r\n\r\n");
    const auto answer = r.client.hearHead();
    CHECK(contains(answer, "Server: none\r\n"));
    CHECK_FALSE(contains(answer, "Server: x"));
    CHECK_FALSE(contains(answer, "X-Powered-By"));
}

TEST_CASE("a body over the limit is refused, announced or not") {
    Routed r("{pool: wiki, max_body: 10}");
    SECTION("exactly as much goes through") {
        CHECK(contains(r.passedOn("PUT / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 10\r\n\r\n"
                                  "0123456789"),
                       "Content-Length: 10\r\n"));
        CHECK(r.server.hear(10) == "0123456789");
    }
    SECTION("announced: the backend hears nothing") {
        r.client.say("PUT / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 11\r\n\r\n");
        CHECK(r.client.hearHead().starts_with("HTTP/1.1 413 "));
        CHECK_FALSE(r.origin.called(0));
    }
    SECTION("chunked, in the first read: the backend hears nothing") {
        r.client.say(
            "PUT / HTTP/1.1\r\nHost: wiki\r\nTransfer-Encoding: chunked\r\n\r\n"
            "b\r\n0123456789a\r\n");
        CHECK(r.client.hearHead().starts_with("HTTP/1.1 413 "));
        CHECK_FALSE(r.origin.called(0));
    }
    SECTION("chunked, later: the backend's connection is cut") {
        r.client.say(
            "PUT / HTTP/1.1\r\nHost: wiki\r\nTransfer-Encoding: chunked\r\n\r\n"
            "5\r\n01234\r\n");
        Peer server = r.origin.accept();
        server.hearUntil("01234\r\n");
        r.client.say("6\r\n56789a\r\n");
        CHECK(r.client.hearHead().starts_with("HTTP/1.1 413 "));
        CHECK_FALSE(contains(server.hearAll(true), "5678"));
    }
}

TEST_CASE("who may ask is decided by networks, deny first") {
    Routed r(
        "{path: /in/, pool: wiki, allow: [127.0.0.0/8]}, "
        "{path: /out/, pool: wiki, allow: [127.0.0.0/8], deny: [127.0.0.1]}, "
        "{path: /else/, pool: wiki, allow: [10.0.0.0/8]}");
    CHECK(r.passedOn(get("/in/")).starts_with("GET /in/"));
    r.answer();
    for (const std::string path : {"/out/", "/else/"}) {
        r.client.say(get(path));
        const auto head = r.client.hearHead();
        CHECK(head.starts_with("HTTP/1.1 403 Forbidden\r\n"));
        CHECK_FALSE(contains(head, "Connection: close"));
        r.client.hearUntil("\n");
    }
}

TEST_CASE("a password is asked for, checked aside, remembered, and not passed on") {
    const TempDir dir;
    const std::string users = dir.path() + "/users";
    REQUIRE(writeFileAtomic(users, kUsers).has_value());
    Routed r("{pool: wiki, basic_auth: {users_file: " + users + ", realm: the wiki}}");
    for (const std::string& wrong :
         {std::string(), kWrong, kWrong, std::string("Authorization: Basic !!!\r\n"),
          std::string("Authorization: Bearer x\r\n"), kAnna + kAnna}) {
        INFO(wrong);
        r.client.say(get("/", wrong));
        const auto head = r.client.hearHead();
        CHECK(head.starts_with("HTTP/1.1 401 Unauthorized\r\n"));
        CHECK(contains(head, "WWW-Authenticate: Basic realm=\"the wiki\", charset=\"UTF-8\"\r\n"));
        r.client.hearUntil("\n");
    }
    for (int i = 0; i < 3; ++i) {
        const auto head = r.passedOn(get("/page", kAnna));
        CHECK(head.starts_with("GET /page HTTP/1.1\r\n"));
        CHECK_FALSE(contains(head, "Authorization"));
        r.answer();
    }
}

TEST_CASE("a body waits with its request while the password is checked") {
    const TempDir dir;
    const std::string users = dir.path() + "/users";
    REQUIRE(writeFileAtomic(users, kUsers).has_value());
    Routed r("{pool: wiki, basic_auth: {users_file: " + users + ", pass: true}}");
    const auto head =
        r.passedOn("POST / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 3\r\n" + kAnna + "\r\nabc");
    CHECK(contains(head, kAnna));
    CHECK(r.server.hear(3) == "abc");
    r.answer();
    r.client.say(get("/", "Authorization: Basic YW5uYTp4\r\n") + get("/", kAnna));  // pipelined
    CHECK(r.client.hearHead().starts_with("HTTP/1.1 401 "));
    r.client.hearUntil("\n");
    CHECK(contains(r.server.hearHead(), kAnna));
}

TEST_CASE("a client that leaves while its password is checked leaves nothing behind") {
    const TempDir dir;
    const std::string users = dir.path() + "/users";
    REQUIRE(writeFileAtomic(users, kUsers).has_value());
    Routed r("{pool: wiki, basic_auth: {users_file: " + users + "}}");
    for (int i = 0; i < 20; ++i) {
        Peer leaver = r.proxy.connect();
        leaver.say(get("/", "Authorization: Basic YW5uYTp4\r\n"));
    }
    CHECK(r.passedOn(get("/", kAnna)).starts_with("GET / HTTP/1.1\r\n"));
}

TEST_CASE("error pages stand in for our own answers only") {
    const TempDir dir;
    const std::string page = dir.path() + "/down.html", big = dir.path() + "/big.txt";
    REQUIRE(writeFileAtomic(page, "<p>down</p>").has_value());
    REQUIRE(writeFileAtomic(big, std::string(500'000, 'x')).has_value());
    Routed r("{host: wiki, pool: wiki, error_pages: {502: " + page + "}}",
             ", error_pages: {4xx: " + big + "}");
    SECTION("a backend that closes") {
        r.client.say("POST / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 0\r\n\r\n");
        {
            Peer server = r.origin.accept();
            server.hearHead();
        }
        const auto head = r.client.hearHead();
        CHECK(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
        CHECK(contains(head, "Content-Type: text/html; charset=utf-8\r\n"));
        CHECK(contains(head, "Cache-Control: no-store\r\n"));
        CHECK(r.client.hear(11) == "<p>down</p>");
    }
    SECTION("a backend's own 502 stays its own") {
        r.client.say(get("/"));
        Peer server = r.origin.accept();
        server.hearHead();
        server.say("HTTP/1.1 502 Mine\r\nContent-Length: 4\r\n\r\nmine");
        r.client.hearHead();
        CHECK(r.client.hear(4) == "mine");
    }
    SECTION("no route: the listener's, larger than any buffer") {
        r.client.say("GET / HTTP/1.1\r\nHost: other\r\n\r\n");
        CHECK(r.client.hearHead().starts_with("HTTP/1.1 404 Not Found\r\n"));
        CHECK(r.client.hear(500'000) == std::string(500'000, 'x'));
        CHECK(r.passedOn(get("/")).starts_with("GET / "));
    }
    SECTION("not even a request") {
        r.client.say("nonsense\r\n\r\n");
        CHECK(contains(r.client.hearHead(), "Content-Length: 500000\r\n"));
    }
}

TEST_CASE("a route has its own patience and tries") {
    Routed r(
        "{path: /slow, pool: wiki, timeouts: {first_byte: 60ms}, retry: {attempts: 1}}, "
        "{pool: wiki}");
    r.client.say(get("/slow"));
    Peer server = r.origin.accept();
    server.hearHead();
    CHECK(r.client.hearHead().starts_with("HTTP/1.1 504 "));
    r.client.say(get("/slow"));
    {
        Peer other = r.origin.accept();
        other.hearHead();
    }
    CHECK(contains(r.client.hearUntil("HTTP/1.1 502 "), "HTTP/1.1 502 "));
}

TEST_CASE("TRACE is refused, OPTIONS goes as far as it may") {
    Routed r("{pool: wiki}");
    r.client.say("TRACE / HTTP/1.1\r\nHost: wiki\r\nCookie: secret\r\n\r\n");
    const auto head = r.client.hearHead();
    CHECK(head.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
    CHECK(contains(head, "Allow: GET, HEAD,"));
    CHECK_FALSE(contains(r.client.hearUntil("\n"), "secret"));
    r.client.say("OPTIONS * HTTP/1.1\r\nHost: wiki\r\nMax-Forwards: 0\r\n\r\n");
    CHECK(r.client.hearHead().starts_with("HTTP/1.1 200 OK\r\n"));
    r.client.say("OPTIONS / HTTP/1.1\r\nHost: wiki\r\nMax-Forwards: many\r\n\r\n");
    CHECK(r.client.hearHead().starts_with("HTTP/1.1 400 "));
    r.client.hearUntil("\n");
    CHECK(contains(r.passedOn("OPTIONS / HTTP/1.1\r\nHost: wiki\r\nMax-Forwards: 7\r\n\r\n"),
                   "Max-Forwards: 6\r\n"));
    r.answer();
    CHECK(contains(r.passedOn(get("/", "Max-Forwards: 7\r\n")), "Max-Forwards: 7\r\n"));
}

TEST_CASE("routes change under an open connection, and what is under way keeps its own") {
    Routed r("{pool: wiki, response_headers: {set: {X-Routes: old}}}");
    r.client.say(get("/"));
    r.server = r.origin.accept();
    r.connected = true;
    r.server.hearHead();
    r.proxy.listener.routes = table("{path: /a, respond: {status: 410}}, {pool: wiki}");
    r.proxy.publish();
    r.server.say(kHi);
    CHECK(contains(r.client.hearHead(), "X-Routes: old\r\n"));
    CHECK(r.client.hear(2) == "hi");
    r.client.say(get("/a"));
    CHECK(r.client.hearHead().starts_with("HTTP/1.1 410 Gone\r\n"));
    CHECK(r.passedOn(get("/")).starts_with("GET / "));
    CHECK_FALSE(contains(r.client.hearHead(), "X-Routes"));
}
