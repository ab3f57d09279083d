#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <list>
#include <thread>

#include "proxy/serve/endpoint.h"
#include "tests/support/proxy_under_test.h"

// Bodies that come faster than a block at a time takes them, and go on in wide blocks.
using namespace regrow;
using namespace regrow::test;
using serve::kBlockBytes;
using serve::kWideBlocks;
using serve::kWideBytes;

namespace {

constexpr size_t kMuch = 3 * kWideBytes + 12'345;
constexpr auto kGet = "GET / HTTP/1.1\r\nHost: wiki\r\n\r\n";

// Its order can be checked wherever it was cut.
std::string bodyOf(size_t size) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<char>((i % 1'000'003) * 2654435761U >> 13);
    return bytes;
}

std::string lengthOf(const std::string& body) {
    return "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
}

std::string chunked(const std::string& body, size_t piece) {
    std::string out;
    for (size_t at = 0; at < body.size(); at += piece) {
        const size_t n = std::min(piece, body.size() - at);
        std::array<char, 20> size{};
        std::snprintf(size.data(), size.size(), "%zx\r\n", n);
        out.append(size.data()).append(body, at, n).append("\r\n");
    }
    return out + "0\r\n\r\n";
}

std::string hearChunked(Peer& from) {
    std::string body;
    while (true) {
        const size_t n = std::stoul(from.hearUntil("\r\n"), nullptr, 16);
        body += from.hear(n);
        if (from.hear(2) != "\r\n") return "no end of a chunk";
        if (n == 0) return body;
    }
}

// Keeps the proxy from getting rid of what it has read.
void readSlowly(Peer& peer) {
    const int bytes = 128 << 10;
    ::setsockopt(peer.fd(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

// Says it all from a thread of its own, as nobody may be listening yet.
class Speaker {
  public:
    Speaker(Peer& peer, std::string text)
        : thread_([&peer, text = std::move(text)] {
              try {
                  peer.say(text);
              } catch (const std::runtime_error&) {  // the test is about what the others see
              }
          }) {}
    ~Speaker() { thread_.join(); }
    Speaker(const Speaker&) = delete;
    Speaker& operator=(const Speaker&) = delete;

  private:
    std::thread thread_;
};

// The two ends of one exchange that has come as far as the backend having the request's head.
struct Ends {
    explicit Ends(const std::string& request = kGet, bool slow_client = false) {
        proxy.run();
        client = proxy.connect();
        if (slow_client) readSlowly(client);
        client.say(request);
        server = origin.accept();
        head = server.hearHead();
    }
    Origin origin;
    ProxyUnderTest proxy{{origin.address()}};
    Peer client;
    Peer server;
    std::string head;
};

// An endpoint that reads what a test writes.
struct Reader {
    Reader() {
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) ==
                0);
        endpoint.transport.adopt(UniqueFd(ends[0]));
        writer = UniqueFd(ends[1]);
        const int room = 4 << 20;
        ::setsockopt(writer.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
        ::setsockopt(writer.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
    ~Reader() { endpoint.shut(pool); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    size_t read(size_t written) {
        const std::string bytes(written, 'x');
        REQUIRE(::send(writer.get(), bytes.data(), bytes.size(), 0) ==
                static_cast<ssize_t>(bytes.size()));
        endpoint.readable = true;
        REQUIRE(endpoint.fill(pool) == serve::Endpoint::Filled::bytes);
        const size_t got = endpoint.in.size();
        endpoint.in.consume(got);
        return got;
    }

    serve::BufferPool pool;
    serve::Endpoint endpoint;
    UniqueFd writer;
};

}  // namespace

TEST_CASE("wide blocks are few, count as many, and give way to small ones") {
    serve::BufferPool pool;
    std::vector<std::unique_ptr<serve::Block>> lent;
    while (auto block = pool.lendWide()) lent.push_back(std::move(block));
    CHECK(lent.size() == serve::BufferPool::kMostWide);
    CHECK(pool.lent() == lent.size() * kWideBlocks);

    serve::Buffer buffer;
    buffer.widen(pool);
    CHECK(buffer.lent());
    CHECK_FALSE(buffer.wide());
    pool.takeBack(std::move(lent.back()));
    lent.pop_back();
    buffer.widen(pool);
    CHECK(buffer.wide());
    CHECK(buffer.room() > 10 * kBlockBytes);
    buffer.release(pool);
    for (auto& block : lent) pool.takeBack(std::move(block));
    CHECK(pool.lent() == 0);

    pool.limitWide(0);
    CHECK(pool.lendWide() == nullptr);
}

TEST_CASE("an endpoint reads wide what presses, and only where it may") {
    Reader reader;
    SECTION("what presses") {
        reader.endpoint.readBulk(true);
        CHECK(reader.read(kBlockBytes - 1000) == kBlockBytes - 1000);
        CHECK_FALSE(reader.endpoint.in.wide());
        CHECK(reader.read(200'000) < kBlockBytes);  // all a block holds: more is waiting
        CHECK(reader.read(200'000) > 200'000);
        CHECK(reader.endpoint.in.wide());
        reader.endpoint.in.release(reader.pool);
        CHECK(reader.read(500) == 500);  // as wide as the last, and too little for it
        reader.endpoint.in.release(reader.pool);
        CHECK(reader.read(500) == 500);
        CHECK_FALSE(reader.endpoint.in.wide());
    }
    SECTION("not what nobody takes in bulk") {
        reader.endpoint.readBulk(false);
        for (int i = 0; i < 4; ++i) CHECK(reader.read(150'000) < kBlockBytes);
        CHECK_FALSE(reader.endpoint.in.wide());
    }
    SECTION("not over bytes that are still needed") {
        reader.endpoint.readBulk(true);
        reader.read(150'000);
        reader.endpoint.in.release(reader.pool);
        reader.endpoint.in.ensure(reader.pool);
        reader.endpoint.in.append("kept");
        CHECK(reader.endpoint.fill(reader.pool) == serve::Endpoint::Filled::bytes);
        CHECK(reader.endpoint.in.view().starts_with("keptx"));
        CHECK_FALSE(reader.endpoint.in.wide());
    }
}

TEST_CASE("bodies of any size arrive whole, and the connections serve on") {
    Ends ends;
    const bool in_chunks = GENERATE(false, true);
    const bool slow = GENERATE(false, true);
    if (slow) readSlowly(ends.client);
    std::vector<size_t> sizes = {1, kMuch};
    for (const size_t bound : {kBlockBytes, 2 * kBlockBytes, kWideBytes, kBlockBytes + kWideBytes})
        for (const size_t less : {200, 49, 48, 47, 1, 0}) sizes.push_back(bound - less);
    for (const size_t size : sizes) {
        INFO(size << (in_chunks ? " in chunks" : " with a length") << (slow ? ", slowly" : ""));
        const std::string body = bodyOf(size);
        const std::string framed =
            in_chunks ? "Transfer-Encoding: chunked\r\n\r\n" + chunked(body, 300'000)
                      : lengthOf(body) + body;
        const Speaker answer(ends.server, "HTTP/1.1 200 OK\r\n" + framed);
        ends.client.hearHead();
        REQUIRE((in_chunks ? hearChunked(ends.client) : ends.client.hear(size)) == body);

        ends.client.say("PUT / HTTP/1.1\r\nHost: wiki\r\n");
        const Speaker upload(ends.client, framed);
        ends.server.hearHead();
        REQUIRE((in_chunks ? hearChunked(ends.server) : ends.server.hear(size)) == body);
        ends.server.say("HTTP/1.1 204 No Content\r\n\r\n");
        CHECK(ends.client.hearHead().starts_with("HTTP/1.1 204 "));
        ends.client.say(kGet);
        ends.server.hearHead();  // on the same connection
    }
}

TEST_CASE("a large body until close ends where the backend closed") {
    Ends ends;
    const std::string body = bodyOf(kMuch);
    std::thread answer([&] {
        ends.server.say("HTTP/1.0 200 OK\r\n\r\n" + body);
        ends.server.close();
    });
    ends.client.hearHead();
    CHECK(hearChunked(ends.client) == body);
    answer.join();
}

TEST_CASE("a backend that closes exactly at the end of a large body is no failure") {
    Ends ends;
    const std::string body = bodyOf(kMuch);
    std::thread answer([&] {
        ends.server.say("HTTP/1.1 200 OK\r\n" + lengthOf(body) + body);
        ends.server.close();
    });
    ends.client.hearHead();
    CHECK(ends.client.hear(body.size()) == body);
    answer.join();
    ends.client.say(kGet);
    Peer next = ends.origin.accept();
    next.hearHead();
    next.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    CHECK(ends.client.hearHead().starts_with("HTTP/1.1 200 "));
    CHECK(ends.proxy.seen(serve::Observation::Kind::reset) == 0);
}

TEST_CASE("a large body that is cut off is seen to be") {
    Ends ends;
    const bool reset = GENERATE(false, true);
    INFO((reset ? "reset" : "closed"));
    const std::string body = bodyOf(kMuch);
    {
        const Speaker answer(ends.server, "HTTP/1.1 200 OK\r\nContent-Length: " +
                                              std::to_string(kMuch + 1) + "\r\n\r\n" + body);
        ends.client.hearHead();
        CHECK(ends.client.hear(body.size()) == body);
    }
    if (reset)
        ends.server.reset();
    else
        ends.server.close();
    CHECK(ends.client.hearAll(true).empty());
    CHECK(eventually([&] { return ends.proxy.seen(serve::Observation::Kind::reset) == 1; }));
}

TEST_CASE("a client that leaves in the middle of a large body ends it towards the backend") {
    Ends ends(kGet, true);
    const bool reset = GENERATE(false, true);
    {
        const Speaker answer(ends.server,
                             "HTTP/1.1 200 OK\r\n" + lengthOf(bodyOf(kMuch)) + bodyOf(kMuch / 2));
        ends.client.hearHead();
        ends.client.hear(kWideBytes);
        if (reset)
            ends.client.reset();
        else
            ends.client.close();
    }
    ends.server.hearAll(true);
    CHECK(eventually([&] { return ends.proxy.pool.stats->sum(&PoolShard::client_aborts) == 1; }));
    CHECK(ends.proxy.seen(serve::Observation::Kind::reset) == 0);
}

TEST_CASE("a fence in the middle of a large body resets both sides of it") {
    Ends ends(kGet, true);
    const Speaker answer(ends.server,
                         "HTTP/1.1 200 OK\r\n" + lengthOf(bodyOf(2 * kMuch)) + bodyOf(2 * kMuch));
    ends.client.hearHead();
    ends.client.hear(kWideBytes);
    ++ends.proxy.pool.backends[0].epoch;
    ends.proxy.publish();
    CHECK(ends.client.hearAll(true).size() < 2 * kMuch - kWideBytes);
}

TEST_CASE("more slow readers than there are wide blocks are all served") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.limits.memory = GENERATE(size_t{0}, size_t{24} << 20);  // then three of them
    proxy.run();
    const std::string body = bodyOf(3 * kMuch);  // more than the sockets take
    std::vector<std::pair<Peer, Peer>> ends(serve::BufferPool::kMostWide + 4);
    std::list<Speaker> answers;
    for (auto& [client, server] : ends) {
        INFO("client " << answers.size());
        client = proxy.connect();
        readSlowly(client);
        client.say(kGet);
        server = origin.accept();
        server.hearHead();
        answers.emplace_back(server,
                             "HTTP/1.1 200 OK\r\nConnection: close\r\n" + lengthOf(body) + body);
    }
    for (auto& [client, server] : ends) {
        client.hearHead();
        CHECK(client.hear(body.size()) == body);
    }
}

TEST_CASE("tunnels move much both ways at once") {
    Ends ends("GET / HTTP/1.1\r\nHost: wiki\r\nConnection: Upgrade\r\nUpgrade: bytes\r\n\r\n");
    ends.server.say(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: bytes\r\n\r\n");
    ends.client.hearHead();
    const std::string body = bodyOf(kMuch);
    const Speaker down(ends.server, body);
    const Speaker up(ends.client, body);
    std::string heard_up;
    std::thread listener([&] { heard_up = ends.server.hear(body.size()); });
    CHECK(ends.client.hear(body.size()) == body);
    listener.join();
    CHECK(heard_up == body);
}

TEST_CASE("in TCP mode much moves both ways at once") {
    Origin origin;
    ProxyUnderTest proxy({origin.address()});
    proxy.listener.mode = conf::ListenerMode::tcp;
    proxy.run();
    Peer client = proxy.connect();
    Peer server = origin.accept();
    const std::string body = bodyOf(kMuch);
    std::string heard_up;
    {
        const Speaker down(server, body);
        const Speaker up(client, body);
        std::thread listener([&] { heard_up = server.hear(body.size()); });
        CHECK(client.hear(body.size()) == body);
        listener.join();
    }
    CHECK(heard_up == body);
    client.finish();
    server.finish();
    CHECK(client.hearAll().empty());
    CHECK(server.hearAll().empty());
}
