#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "base/tls/client_context.h"
#include "base/unique_fd.h"
#include "proxy/net/tls_server.h"
#include "proxy/net/transport.h"

namespace regrow::test {

// Both ends of one TLS connection in one thread, over a socket pair or over two with the test in
// the middle, who passes the bytes on as it likes.
class TlsPair {
  public:
    TlsPair(const std::shared_ptr<const net::TlsServer>& server,
            const std::shared_ptr<const tls::ClientContext>& client, bool intercepted = false,
            const char* sni = nullptr) {
        int client_pair[2];
        open(client_pair);
        client_.adopt(UniqueFd(client_pair[0]));
        if (intercepted) {
            int server_pair[2];
            open(server_pair);
            server_.adopt(UniqueFd(server_pair[0]));
            to_client_.reset(client_pair[1]);
            to_server_.reset(server_pair[1]);
        } else {
            server_.adopt(UniqueFd(client_pair[1]));
        }
        server_.secure(server->session(), server);
        auto session = client->session(Address::loopback(443));
        if (sni)
            SSL_ctrl(session.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                     const_cast<char*>(sni));
        client_.secure(std::move(session), client);
    }

    // Passes on at most `most` bytes in each direction. False: there was nothing.
    bool pass(size_t most) {
        const bool up = passOne(to_client_.get(), to_server_.get(), most);
        const bool down = passOne(to_server_.get(), to_client_.get(), most);
        wake();
        return up || down;
    }
    // As the loop would report it.
    void wake() {
        client_.tls()->noteReadable(false);
        server_.tls()->noteReadable(false);
        client_.tls()->flush();
        server_.tls()->flush();
    }
    // Until both are done, or one has failed. `most`: bytes passed on at a time.
    bool shake(size_t most = 4096) {
        using enum tls::Stream::Shake;
        for (int i = 0; i < 100'000; ++i) {
            client_shake = client_.tls()->handshake();
            server_shake = server_.tls()->handshake();
            if (client_shake == done && server_shake == done) return true;
            if (client_shake == failed || server_shake == failed || server_shake == not_tls) {
                wake();  // the other side hears of it
                client_.tls()->handshake();
                return false;
            }
            if (to_client_) pass(most);
            wake();
        }
        throw std::runtime_error("the handshake never ends");
    }

    net::Transport& client() { return client_; }
    net::Transport& server() { return server_; }
    void cutClient() { to_server_.reset(); }  // the server reads a bare end of file

    tls::Stream::Shake client_shake = tls::Stream::Shake::waiting;
    tls::Stream::Shake server_shake = tls::Stream::Shake::waiting;

  private:
    static void open(int (&pair)[2]) {
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
            throw std::runtime_error("socketpair");
    }
    static bool passOne(int from, int to, size_t most) {
        char bytes[65536];
        const ssize_t n = ::recv(from, bytes, std::min(most, sizeof bytes), 0);
        if (n <= 0) return false;
        for (ssize_t at = 0; at < n;) {
            const ssize_t sent = ::send(to, bytes + at, static_cast<size_t>(n - at), MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN) return false;
            if (sent < 0) throw std::runtime_error("the test's own socket is full");
            at += sent;
        }
        return true;
    }

    net::Transport client_;
    net::Transport server_;
    UniqueFd to_client_;
    UniqueFd to_server_;
};

}  // namespace regrow::test
