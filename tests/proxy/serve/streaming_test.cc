#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

#include "tests/support/proxy_under_test.h"

using namespace regrow;
using namespace regrow::test;

namespace {

constexpr size_t kBody = 128 << 20;

// Bytes whose order can be checked wherever they are cut: a pattern whose period is no round
// number.
std::string piece(size_t from, size_t size) {
    constexpr size_t kPeriod = 1'000'003;
    static const std::string kPattern = [] {
        std::string bytes(kPeriod + (1 << 20), '\0');
        for (size_t i = 0; i < bytes.size(); ++i)
            bytes[i] = static_cast<char>((i % kPeriod) * 2654435761U >> 13);
        return bytes;
    }();
    return kPattern.substr(from % kPeriod, std::min<size_t>(size, 1 << 20));
}

void sayBody(Peer& to, bool chunked) {
    constexpr size_t kPiece = 1 << 20;
    for (size_t at = 0; at < kBody; at += kPiece) {
        if (chunked) to.say("100000\r\n");
        to.say(piece(at, kPiece));
        if (chunked) to.say("\r\n");
    }
    if (chunked) to.say("0\r\n\r\n");
}

bool hearPayload(Peer& from, size_t at, size_t size) {
    constexpr size_t kPiece = 1 << 18;
    for (size_t end = at + size; at < end;) {
        const size_t n = std::min(kPiece, end - at);
        if (from.hear(n) != piece(at, n)) return false;
        at += n;
    }
    return true;
}

bool hearBody(Peer& from, bool chunked) {
    if (!chunked) return hearPayload(from, 0, kBody);
    size_t at = 0;
    while (true) {
        const size_t size = std::stoul(from.hearUntil("\r\n"), nullptr, 16);
        if (!hearPayload(from, at, size)) return false;
        at += size;
        if (from.hear(2) != "\r\n") return false;
        if (size == 0) return at == kBody;
    }
}

size_t peakKilobytes() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6));
    return 0;
}
// Sanitizers keep freed memory to catch its use, so there the peak says nothing.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kPeakMeans = false;
#elif defined(__has_feature)
constexpr bool kPeakMeans = !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
constexpr bool kPeakMeans = true;
#endif
void forgetPeak() {
    std::ofstream("/proc/self/clear_refs") << "5";
}

}  // namespace

TEST_CASE("large bodies stream in bounded memory, in order, whatever their framing") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    const bool chunked = GENERATE(false, true);
    const bool up = GENERATE(false, true);
    INFO((chunked ? "chunked " : "with a length ") << (up ? "up" : "down"));
    const std::string framing = chunked ? "Transfer-Encoding: chunked\r\n\r\n"
                                        : "Content-Length: " + std::to_string(kBody) + "\r\n\r\n";
    Peer client = proxy.connect();
    client.say((up ? "PUT" : "GET") + std::string(" / HTTP/1.1\r\nHost: wiki\r\n") +
               (up ? framing : "\r\n"));
    Peer server = origin.accept();
    server.hearHead();
    forgetPeak();
    const size_t before = peakKilobytes();
    Peer& from = up ? client : server;
    Peer& to = up ? server : client;
    std::thread speaker([&] {
        if (!up) from.say("HTTP/1.1 200 OK\r\n" + framing);
        sayBody(from, chunked);
    });
    if (!up) to.hearHead();
    CHECK(hearBody(to, chunked));
    speaker.join();
    // The test's own pieces and a few blocks, not the body.
    if (kPeakMeans) CHECK(peakKilobytes() < before + 16 * 1024);
    if (!up) return;
    server.say("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    CHECK(client.hearHead().starts_with("HTTP/1.1 201 "));
}

TEST_CASE("a client that does not read stops the backend, and goes on when it reads again") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.run();
    Peer client = proxy.connect();
    client.say("GET / HTTP/1.1\r\nHost: wiki\r\n\r\n");
    Peer server = origin.accept();
    server.hearHead();
    server.say("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kBody) + "\r\n\r\n");
    size_t sent = 0;
    const auto stuck = [&] {
        const size_t n = server.sayAsMuchAsGoes(piece(sent, 1 << 18));
        sent += n;
        return n == 0;
    };
    while (!stuck()) REQUIRE(sent < kBody);
    client.hearHead();
    REQUIRE(hearPayload(client, 0, sent));
    std::thread rest([&] {
        for (size_t at = sent; at < kBody; at += 1 << 20)
            server.say(piece(at, std::min<size_t>(kBody - at, 1 << 20)));
    });
    CHECK(hearPayload(client, sent, kBody - sent));
    rest.join();
}

TEST_CASE("what a client still sends lifts no deadline on its not reading") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.listener.timeouts.body = 2s;
    proxy.run();
    Peer client = proxy.connect();
    client.say("POST / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 4\r\n\r\nab");
    Peer server = origin.accept();
    server.hearHead();
    server.say("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kBody) + "\r\n\r\n");
    // Stuck is what stays stuck: a proxy that is slow at the moment takes more in a while.
    size_t sent = 0;
    while (sent < kBody && server.hasRoom(200ms)) {
        const size_t taken = server.sayAsMuchAsGoes(piece(sent, 1 << 18));
        REQUIRE(taken > 0);  // else it was cut before it was tried
        sent += taken;
    }
    REQUIRE(sent < kBody);
    client.say("cd");
    CHECK(eventually([&] { return proxy.pool.stats->sum(&PoolShard::client_aborts) == 1; }));
}

TEST_CASE("a body sent before the backend accepts is kept, and beyond the bound the client waits") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.pool.hold = {.on = true, .wait = 20s, .requests = 10};
    proxy.pool.backends[0].accepting = false;
    proxy.run();
    Peer client = proxy.connect();
    client.say("POST / HTTP/1.1\r\nHost: wiki\r\nContent-Length: " + std::to_string(kBody) +
               "\r\n\r\n");
    std::thread speaker([&] { sayBody(client, false); });
    REQUIRE(eventually([&] { return proxy.pool.stats->waiting.load() == 1; }));
    proxy.pool.backends[0].accepting = true;
    proxy.publish();
    Peer server = origin.accept();
    server.hearHead();
    CHECK(hearBody(server, false));
    speaker.join();
    server.say("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    CHECK(client.hearHead().starts_with("HTTP/1.1 201 "));
}
