#include "base/http_client.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "tests/support/peer.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

// Listens, and gives each connection to `talk`, one after the other, `connections` times.
class TinyServer {
  public:
    TinyServer(const std::string& address, int connections, std::function<void(test::Peer&)> talk)
        : fd_(::socket(Address::parse(address)->family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const auto wanted = Address::parse(address).value();
        REQUIRE(::bind(fd_.get(), wanted.sockaddrPtr(), wanted.length()) == 0);
        REQUIRE(::listen(fd_.get(), 16) == 0);
        sockaddr_storage bound{};
        socklen_t length = sizeof bound;
        REQUIRE(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&bound), &length) == 0);
        address_ = Address::fromSockaddr(reinterpret_cast<sockaddr*>(&bound), length).text();
        thread_ = std::jthread([this, connections, talk = std::move(talk)] {
            for (int i = 0; i < connections; ++i) {
                pollfd one{fd_.get(), POLLIN, 0};
                if (::poll(&one, 1, 20'000) != 1) return;
                test::Peer peer(UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
                try {
                    talk(peer);
                } catch (const std::exception& e) {
                    trouble_ = e.what();
                }
            }
        });
    }
    const std::string& address() const { return address_; }
    std::string end() {
        thread_.join();
        return trouble_;
    }

  private:
    UniqueFd fd_;
    std::string address_;
    std::string trouble_;
    std::jthread thread_;
};

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

}  // namespace

TEST_CASE("any status is an answer", "[http_client]") {
    TinyServer server("127.0.0.1:0", 1, [](test::Peer& peer) {
        peer.hearHead();
        peer.say("HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy");
    });
    const auto answer = HttpClient(server.address()).call("GET", "/x?y", 20s);
    REQUIRE(answer);
    CHECK(answer->status == 503);
    CHECK(answer->body == "busy");
    CHECK(server.end().empty());
}

TEST_CASE("method, target, headers and body arrive; the connection is kept", "[http_client]") {
    std::vector<std::string> heads;
    std::string body;
    TinyServer server("127.0.0.1:0", 1, [&](test::Peer& peer) {
        heads.push_back(peer.hearHead());
        body = peer.hear(5);
        peer.say(kOk);
        heads.push_back(peer.hearHead());
        peer.say(kOk);
        heads.push_back(peer.hearHead());
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    });
    HttpClient client(server.address());
    REQUIRE(client.call("PUT", "/item", 20s, {"X-Token: t"}, "hello"));
    const auto empty_post = client.call("POST", "/empty", 20s);
    REQUIRE(empty_post);
    CHECK(empty_post->body == "ok");
    REQUIRE(client.call("HEAD", "/head", 20s));
    CHECK(server.end().empty());
    CHECK_THAT(heads[0], Catch::StartsWith("PUT /item HTTP/1.1\r\n") &&
                             Contains("X-Token: t\r\n") && Contains("Content-Length: 5\r\n") &&
                             !Contains("Expect"));
    CHECK(body == "hello");
    CHECK_THAT(heads[1],
               Catch::StartsWith("POST /empty HTTP/1.1\r\n") && Contains("Content-Length: 0\r\n"));
    CHECK_THAT(heads[2], Catch::StartsWith("HEAD /head HTTP/1.1\r\n"));
}

TEST_CASE("no answer in time is a timeout, however small the time", "[http_client]") {
    TinyServer server("127.0.0.1:0", 2, [](test::Peer& peer) { peer.hearAll(true); });
    for (const Duration timeout : {Duration(50ms), Duration(10us)}) {
        const auto answer = HttpClient(server.address()).call("GET", "/", timeout);
        REQUIRE_FALSE(answer);
        CHECK(answer.error().code == Code::timeout);
        CHECK(answer.error().retryable);
        CHECK_THAT(answer.error().message, Contains(server.address()));
        if (timeout < 1ms)
            test::Peer::connect(
                *Address::parse(server.address()));  // it may not have come to connect
    }
    server.end();
}

TEST_CASE("nobody listening, and a connection that breaks, are unavailable", "[http_client]") {
    std::string gone;
    {
        TinyServer server("127.0.0.1:0", 1, [](test::Peer& peer) {
            peer.hearHead();
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        });
        gone = server.address();
        const auto broken = HttpClient(gone).call("GET", "/", 20s);
        REQUIRE_FALSE(broken);
        CHECK(broken.error().code == Code::unavailable);
        server.end();
    }
    const auto refused = HttpClient(gone).call("GET", "/", 20s);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unavailable);
    CHECK_THAT(refused.error().message, Contains("GET http://" + gone + "/"));
}

TEST_CASE("what does not speak HTTP is unavailable", "[http_client]") {
    TinyServer server("127.0.0.1:0", 1, [](test::Peer& peer) {
        peer.hearHead();
        peer.say("SSH-2.0-nonsense\r\n\r\n");
    });
    const auto answer = HttpClient(server.address()).call("GET", "/", 20s);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == Code::unavailable);
    server.end();
}

TEST_CASE("over a unix socket and IPv6", "[http_client]") {
    const test::TempDir dir;
    for (const std::string& address : {"unix:" + dir / "s", std::string("[::1]:0")}) {
        INFO(address);
        TinyServer server(address, 1, [](test::Peer& peer) {
            peer.hearHead();
            peer.say(kOk);
        });
        HttpClient client(server.address());
        const auto answer = client.call("GET", "/", 20s);
        if (!answer) FAIL(answer.error().message);
        CHECK(answer->status == 200);
        CHECK(server.end().empty());
    }
    CHECK(HttpClient("unix:" + dir / "none").call("GET", "/", 1s).error().code ==
          Code::unavailable);
}
