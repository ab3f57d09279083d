#include <catch2/catch.hpp>
#include <map>

#include "tests/support/proxy_under_test.h"

using namespace regrow;
using namespace regrow::test;

namespace {

// An origin that answers every connection's one request by itself, until it is gone.
class NamedOrigin {
  public:
    explicit NamedOrigin(std::string answer)
        : answer_(std::move(answer)), thread_([this] { serve(); }) {}
    ~NamedOrigin() {
        stopping_ = true;
        thread_.join();
    }
    const Address& address() const { return origin_.address(); }
    int requests() const { return requests_; }

  private:
    void serve() {
        while (!stopping_) {
            if (!origin_.called(20)) continue;
            try {
                Peer peer = origin_.accept();
                peer.hearHead();
                ++requests_;
                peer.say(answer_);
            } catch (const std::exception&) {  // a connection that nothing was asked on
            }
        }
    }
    std::string answer_;
    Origin origin_;
    std::atomic<bool> stopping_{false};
    std::atomic<int> requests_{0};
    std::thread thread_;
};

std::string named(const std::string& name) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(name.size()) +
           "\r\nConnection: close\r\n\r\n" + name;
}

std::string ask(ProxyUnderTest& proxy, const std::string& fields, const std::string& path = "/") {
    Peer client = proxy.connect();
    client.say("GET " + path + " HTTP/1.1\r\nHost: wiki\r\nConnection: close\r\n" + fields +
               "\r\n");
    return client.hearAll();
}
std::string bodyOf(const std::string& answer) {
    return answer.substr(answer.find("\r\n\r\n") + 4);
}
std::string cookieOf(const std::string& answer) {
    const auto at = answer.find("Set-Cookie: ");
    if (at == std::string::npos) return "";
    return answer.substr(at + 12, answer.find(';', at) - at - 12);
}

}  // namespace

TEST_CASE("equal keys meet the same backend, with and without others", "[balance]") {
    NamedOrigin a(named("a")), b(named("b")), c(named("c"));
    ProxyUnderTest proxy({a.address(), b.address(), c.address()});
    proxy.pool.balance = conf::Balance::hash;
    std::string fields, path = "/";
    SECTION("a header") {
        proxy.pool.hash = {conf::HashOn::header, "X-User", 1.25};
        fields = "x-user: KEY\r\n";
    }
    SECTION("a cookie") {
        proxy.pool.hash = {conf::HashOn::cookie, "sid", 1.25};
        fields = "Cookie: theme=dark; sid=KEY\r\n";
    }
    SECTION("the path, without its query") {
        proxy.pool.hash = {conf::HashOn::path, "", 1.25};
        path = "/KEY?x=RANDOM";
    }
    SECTION("the address that a trusted proxy names") {
        proxy.pool.hash = {conf::HashOn::ip, "", 1.25};
        proxy.listener.trusted_proxies = {"127.0.0.0/8"};
        fields = "X-Forwarded-For: RANDOM, 192.0.2.KEY\r\n";
    }
    proxy.run();
    const auto with = [](std::string text, const std::string& key, int random) {
        if (const auto at = text.find("KEY"); at != text.npos) text.replace(at, 3, key);
        if (const auto at = text.find("RANDOM"); at != text.npos)
            text.replace(at, 6, std::to_string(random));
        return text;
    };
    std::map<std::string, std::string> own;
    std::map<std::string, int> count;
    for (int round = 0; round < 3; ++round)
        for (int key = 1; key <= 20; ++key) {
            const auto k = std::to_string(key);
            const auto served = bodyOf(ask(proxy, with(fields, k, round), with(path, k, round)));
            if (round == 0) own[k] = served, ++count[served];
            CHECK(served == own[k]);
        }
    CHECK(count.size() == 3);
}

TEST_CASE("a client stays with its backend by cookie until that is down", "[balance]") {
    NamedOrigin a(named("a")), b(named("b"));
    ProxyUnderTest proxy({a.address(), b.address()});
    proxy.pool.affinity = std::make_shared<const Affinity>(
        "wiki_id", "key", "wiki", std::vector<Affinity::Backend>{{"wiki-1", 0}, {"wiki-2", 1}});
    proxy.run();
    const auto first = ask(proxy, "");
    CHECK(first.find("; Path=/; HttpOnly; SameSite=Lax\r\n") != std::string::npos);
    const auto cookie = cookieOf(first);
    REQUIRE(cookie.starts_with("wiki_id="));
    for (int i = 0; i < 6; ++i) {
        const auto again = ask(proxy, "Cookie: other=1; " + cookie + "\r\n");
        CHECK(bodyOf(again) == bodyOf(first));
        CHECK(cookieOf(again).empty());
    }
    CHECK_FALSE(cookieOf(ask(proxy, "Cookie: wiki_id=forged\r\n")).empty());

    auto& own = proxy.pool.backends[bodyOf(first) == "a" ? 0 : 1];
    own.accepting = false;
    proxy.publish();
    const auto moved = ask(proxy, "Cookie: " + cookie + "\r\n");
    CHECK(bodyOf(moved) != bodyOf(first));
    CHECK(cookieOf(moved).starts_with("wiki_id="));
    CHECK(cookieOf(moved) != cookie);

    own.accepting = true;
    own.max_connections = 1;
    own.stats->shards[0].in_flight.add();  // full, for a moment
    proxy.publish();
    const auto borrowed = ask(proxy, "Cookie: " + cookie + "\r\n");
    CHECK(bodyOf(borrowed) != bodyOf(first));
    CHECK(cookieOf(borrowed).empty());
    own.stats->shards[0].in_flight.sub();
}

TEST_CASE("a backend of a higher priority number serves when the others refuse", "[balance]") {
    NamedOrigin second(named("second"));
    Origin first;
    first.stop();
    ProxyUnderTest proxy({first.address(), second.address()});
    proxy.pool.backends[1].priority = 1;
    proxy.run();
    CHECK(bodyOf(ask(proxy, "")) == "second");
}

// The bound that keeps a dying pool from being finished off by its own clients' requests.
TEST_CASE("with every backend failing, attempts stay below 1.2 times the requests", "[balance]") {
    const auto answer =
        GENERATE(std::string("HTTP/1.1 503 Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
                 std::string());
    NamedOrigin a(answer), b(answer), c(answer);
    ProxyUnderTest proxy({a.address(), b.address(), c.address()});
    proxy.pool.retry.attempts = 3;
    proxy.run();
    constexpr int kRequests = 400;
    for (int i = 0; i < kRequests; ++i) CHECK(ask(proxy, "").starts_with("HTTP/1.1 50"));
    const int attempts = a.requests() + b.requests() + c.requests();
    CHECK(attempts >= kRequests);
    CHECK(attempts < kRequests * 12 / 10 + 4);  // 4: what a quiet pool may always do
}
