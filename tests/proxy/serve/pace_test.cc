#include "proxy/serve/pace.h"

#include <catch2/catch.hpp>

#include "tests/support/proxy_under_test.h"

using namespace regrow;
using namespace regrow::test;
using serve::Pace;

namespace {

constexpr auto kPatience = 300ms;  // timeouts.body
constexpr auto kNowAndThen = 30ms;
constexpr int kOften = 40;  // four times the patience
constexpr auto kGood = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

struct Ends {
    explicit Ends(const std::string& head) {
        proxy.listener.timeouts.body = kPatience;
        proxy.run();
        client = proxy.connect();
        client.say("POST / HTTP/1.1\r\nHost: wiki\r\n" + head + "\r\n\r\n");
        server = origin.accept();
        server.hearHead();
    }
    // Says that now and then, until the proxy has something to say. How often it could.
    int drip(const std::string& piece) {
        for (int i = 0; i < kOften; ++i) {
            pollfd p{client.fd(), POLLIN, 0};
            if (::poll(&p, 1, static_cast<int>(kNowAndThen.count())) > 0) return i;
            client.say(piece);
        }
        return kOften;
    }
    void expectAnswer() {
        server.say(kGood);
        CHECK(client.hearHead().starts_with("HTTP/1.1 200 "));
    }

    Origin origin;
    ProxyUnderTest proxy{{origin.address()}};
    Peer client, server;
};

}  // namespace

TEST_CASE("a deadline begins anew when enough was moved since it began") {
    Pace pace;
    CHECK(pace.fair(0));
    CHECK(pace.waits(0));
    CHECK_FALSE(pace.waits(Pace::kLeast - 1));
    CHECK_FALSE(pace.fair(Pace::kLeast - 1));
    CHECK(pace.waits(Pace::kLeast));
    CHECK_FALSE(pace.waits(Pace::kLeast + 1));
    pace.rest();
    CHECK(pace.waits(Pace::kLeast + 1));
}

TEST_CASE("who sends a body of known length a byte now and then is as good as silent") {
    Ends ends("Content-Length: 1000000");
    CHECK(ends.drip("x") < kOften);
    CHECK(ends.client.hearHead().starts_with("HTTP/1.1 408 "));
    CHECK(ends.server.hearAll(true).size() < kOften);
}

TEST_CASE("who sends such a body slowly, but sends it, is not") {
    const std::string piece(Pace::kLeast / 4, 'x');
    Ends ends("Content-Length: " + std::to_string(kOften * piece.size()));
    CHECK(ends.drip(piece) == kOften);
    ends.server.hear(kOften * piece.size());
    ends.expectAnswer();
}

TEST_CASE("a backend that takes its time does not cost the client its own") {
    const size_t much = 32 << 20;  // more than the sockets hold
    Ends ends("Content-Length: " + std::to_string(much));
    std::thread upload([&] { ends.client.say(std::string(much, 'x')); });
    std::this_thread::sleep_for(3 * kPatience);
    CHECK(ends.server.hear(much).size() == much);
    upload.join();
    ends.expectAnswer();
}

TEST_CASE("a body of unknown length may be a conversation") {
    Ends ends("Transfer-Encoding: chunked");
    SECTION("in which the client says little") {
        CHECK(ends.drip("1\r\nx\r\n") == kOften);
    }
    SECTION("in which the server speaks") {
        ends.server.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        ends.client.hearHead();
        for (int i = 0; i < kOften; ++i) {
            ends.server.say("1\r\ny\r\n");
            REQUIRE(ends.client.hear(6) == "1\r\ny\r\n");
            std::this_thread::sleep_for(kNowAndThen);
        }
        ends.server.say("0\r\n\r\n");
        ends.client.say("0\r\n\r\n");
        CHECK(ends.client.hear(5) == "0\r\n\r\n");
        return;
    }
    SECTION("but not one in which nobody says anything") {
        CHECK(ends.client.hearHead().starts_with("HTTP/1.1 408 "));
        return;
    }
    ends.client.say("0\r\n\r\n");
    ends.server.hearUntil("0\r\n\r\n");
    ends.expectAnswer();
}

namespace {

// A response that has no end, for a client that reads so much of it now and then.
struct Download : Ends {
    explicit Download(int buffer) : Ends("Content-Length: 0") {
        ::setsockopt(client.fd(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
        server.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        answer = std::thread([this] {
            try {
                const std::string piece(1'000'000, 'x');
                for (int i = 0; i < 1000; ++i) server.say(piece);
            } catch (const std::runtime_error&) {  // cut
            }
        });
    }
    ~Download() {
        client.reset();
        answer.join();
    }
    bool cut() { return proxy.pool.stats->sum(&PoolShard::client_aborts) == 1; }
    bool cutWhileReading(size_t bytes) {
        std::string into(bytes, 0);
        ::recv(client.fd(), into.data(), bytes, MSG_DONTWAIT);
        std::this_thread::sleep_for(kNowAndThen);
        return cut();
    }

    std::thread answer;
};

}  // namespace

TEST_CASE("who takes a response a little now and then is as good as silent") {
    Download download(4096);
    CHECK(eventually([&] { return download.cutWhileReading(16); }));
}

// Behind it stand megabytes in the proxy's socket, unless that is kept from taking them.
TEST_CASE("who takes a response slowly, but takes it, is not") {
    Download download(1 << 20);
    for (int i = 0; i < 2 * kOften; ++i) REQUIRE_FALSE(download.cutWhileReading(48 << 10));
}
