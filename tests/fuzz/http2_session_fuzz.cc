#include <poll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/fuzz/http2_input.h"

// HTTP/2 from clients, through the whole of it: a worker with its loop, real sockets, a backend
// that answers. The input (http2_input.h) is what a client sends after its preface and an empty
// SETTINGS. Whatever it is, the connection is answered or ended, and the worker lives on: now and
// then somebody else asks it.
namespace {

using namespace regrow;

// Answers every head with the same response, on as many connections as there are.
class Backend {
  public:
    Backend() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const Address any = Address::loopback(0);
        ::bind(fd_.get(), any.sockaddrPtr(), any.length());
        ::listen(fd_.get(), 512);
        sockaddr_in name{};
        socklen_t length = sizeof name;
        ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&name), &length);
        address = Address::loopback(ntohs(name.sin_port));
        std::thread([this] { serve(); }).detach();
    }
    Address address;

  private:
    [[noreturn]] void serve() {
        std::vector<pollfd> peers{{fd_.get(), POLLIN, 0}};
        while (true) {
            ::poll(peers.data(), peers.size(), -1);
            for (size_t i = peers.size(); i-- > 1;)
                if (peers[i].revents != 0 && !answer(peers[i].fd)) {
                    ::close(peers[i].fd);
                    peers.erase(peers.begin() + static_cast<std::ptrdiff_t>(i));
                }
            if (peers[0].revents != 0)
                peers.push_back({::accept(fd_.get(), nullptr, nullptr), POLLIN, 0});
        }
    }
    static bool answer(int peer) {
        constexpr std::string_view kAnswer =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: "
            "1\r\n\r\n";
        std::array<char, 65536> bytes;
        if (::recv(peer, bytes.data(), bytes.size(), 0) <= 0) return false;
        // Nobody else waits for a peer that does not read.
        return ::send(peer, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
               static_cast<ssize_t>(kAnswer.size());
    }
    UniqueFd fd_;
};

struct World {
    World() : proxy({backend.address}) {
        proxy.listener.h2c = true;
        proxy.run();
    }
    Backend backend;
    test::ProxyUnderTest proxy;
};

constexpr std::string_view kStart("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);

// One that does nothing wrong is served.
void askOrdinarily(World& world) {
    if (!world.proxy.get().starts_with("HTTP/1.1 200 ")) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static auto* const world = new World;  // for the life of the process: its threads are its state
    static unsigned runs = 0;
    if (++runs % 256 == 0) askOrdinarily(*world);
    if (size == 0) return 0;
    test::Peer client = test::connected(world->proxy);
    client.sayAsMuchAsGoes(std::string(kStart) + test::saidBy(data, size));
    std::array<char, 65536> bytes;
    pollfd p{client.fd(), POLLIN, 0};
    while (::poll(&p, 1, 1) > 0 && ::recv(client.fd(), bytes.data(), bytes.size(), 0) > 0) continue;
    client.reset();
    return 0;
}
