#include <poll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/fuzz/http2_input.h"

// HTTP/2 from a backend, through the whole of it: a worker with its loop, real sockets, two clients
// (one with a body larger than a window) whose requests share a connection. The input
// (http2_input.h) is what the server says on it once both requests are there. Whatever it is, the
// clients are answered or cut off, and the worker lives on: now and then a server does as it
// should.
namespace {

using namespace regrow;
using namespace std::chrono_literals;

constexpr std::string_view kSettings("\0\0\0\4\0\0\0\0\0", 9);
constexpr std::string_view kGood("\0\0\1\1\5\0\0\0\1\x88\0\0\1\1\5\0\0\0\3\x88",
                                 20);  // :status 200

struct World {
    World() : proxy({origin.address()}) {
        proxy.pool.http2 = true;
        proxy.pool.timeouts.first_byte = 200ms;
        proxy.run();
        post = "POST / HTTP/1.1\r\nHost: wiki\r\nContent-Length: 100000\r\n\r\n" +
               std::string(100'000, 'x');
    }
    test::Origin origin;
    test::ProxyUnderTest proxy;
    std::string post;
};

bool readable(int fd, int within_ms) {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, within_ms) > 0;
}

// Heads among the frames that a connection of the proxy begins with.
int headsIn(std::string_view bytes) {
    constexpr size_t kPreface = 24;
    int heads = 0;
    for (size_t at = kPreface; at + 9 <= bytes.size();) {
        const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[at + i]); };
        heads += byte(3) == 1 ? 1 : 0;
        at += 9 + (size_t{byte(0)} << 16U | size_t{byte(1)} << 8U | byte(2));
    }
    return heads;
}

// A connection on which both requests are. None when what the run before left behind took one of
// them with it.
test::Peer serverOf(World& world) {
    while (world.origin.called(1000)) {
        test::Peer server = world.origin.accept();
        std::string heard;
        std::array<char, 65536> bytes;
        while (headsIn(heard) < 2 && readable(server.fd(), 100)) {
            const ssize_t n = ::recv(server.fd(), bytes.data(), bytes.size(), 0);
            if (n <= 0) break;
            heard.append(bytes.data(), static_cast<size_t>(n));
        }
        if (headsIn(heard) == 2) return server;
    }
    return {};
}

void forgetCallers(World& world) {
    while (world.origin.called(0)) world.origin.accept().reset();
}

// What the clients are told when the server says that.
std::string tell(World& world, std::string_view said, int patience_ms) {
    forgetCallers(world);
    test::Peer get = test::connected(world.proxy);
    test::Peer post = test::connected(world.proxy);
    get.say("GET / HTTP/1.1\r\nHost: wiki\r\n\r\n");
    post.say(world.post);
    test::Peer server = serverOf(world);
    if (server.fd() < 0) return {};
    server.sayAsMuchAsGoes(std::string(kSettings).append(said));
    std::string answers;
    std::array<char, 65536> bytes;
    for (test::Peer* client : {&get, &post})
        if (readable(client->fd(), patience_ms)) {
            const ssize_t n = ::recv(client->fd(), bytes.data(), bytes.size(), 0);
            if (n > 0) answers.append(bytes.data(), static_cast<size_t>(n));
        }
    for (test::Peer* p : {&get, &post, &server}) p->reset();
    return answers;
}

bool servesOrdinarily(World& world) {
    const std::string answers = tell(world, kGood, 10'000);
    return answers.starts_with("HTTP/1.1 200 ") &&
           answers.find("HTTP/1.1 200 ", 1) != std::string::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static auto* const world = new World;  // for the life of the process: its threads are its state
    static unsigned runs = 0;
    if (++runs % 256 == 1) {
        int tries = 0;
        while (!servesOrdinarily(*world))
            if (++tries == 10) std::abort();
    }
    if (size == 0) return 0;
    tell(*world, test::saidBy(data, size), 2);
    return 0;
}
