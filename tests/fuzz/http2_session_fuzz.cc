#include <poll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/support/proxy_under_test.h"

// HTTP/2 from clients, through the whole of it: a worker with its loop, real sockets, a backend
// that answers. The input is what a client sends after its preface and an empty SETTINGS: as it is,
// or (first byte odd) as records that become frames of the right length, so that what changes in
// one leaves the others whole. Whatever it is, the connection is answered or ended, and the worker
// lives on: now and then somebody else asks it.
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

// Records: type, flags, stream, two bytes of length, payload.
std::string framesOf(std::string_view records) {
    std::string out;
    while (records.size() >= 5) {
        const auto byte = [&](size_t i) { return static_cast<unsigned char>(records[i]); };
        const size_t wanted = size_t{byte(3)} << 8U | byte(4);
        const std::string_view payload = records.substr(5, wanted);
        const char head[9] = {0,
                              static_cast<char>(payload.size() >> 8U),
                              static_cast<char>(payload.size()),
                              records[0],
                              records[1],
                              0,
                              0,
                              0,
                              records[2]};
        out.append(head, sizeof head).append(payload);
        records.remove_prefix(5 + payload.size());
    }
    return out;
}

// Thousands a second may use up the ports that closed connections give back after a minute.
test::Peer connected(World& world) {
    for (int tries = 0;; ++tries) try {
            return world.proxy.connect();
        } catch (const std::runtime_error&) {
            if (tries == 700) throw;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
}

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
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    test::Peer client = connected(*world);
    client.sayAsMuchAsGoes(std::string(kStart) +
                           ((data[0] & 1) != 0 ? framesOf(input) : std::string(input)));
    std::array<char, 65536> bytes;
    pollfd p{client.fd(), POLLIN, 0};
    while (::poll(&p, 1, 1) > 0 && ::recv(client.fd(), bytes.data(), bytes.size(), 0) > 0) continue;
    client.reset();
    return 0;
}
