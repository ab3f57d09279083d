#include "tests/proxy/admin/live_server.h"

#include <poll.h>

#include <catch2/catch.hpp>
#include <cerrno>

namespace regrow::admin::testing {

using namespace std::chrono_literals;

LiveServer::LiveServer(const std::string& listen, const std::string& token_file,
                       AdminLimits limits) {
    const WallTime now = Wall::now();
    control_.shown = richStatus(now);
    control_.past = richEvents(now);
    control_.kept_snapshots = {*control_.shown.pools["wiki"].backup->latest};
    auto server = AdminServer::start(
        loop_, {.listen = *Address::parse(listen), .token_file = token_file}, control_, limits);
    if (!server) FAIL(server.error().message);
    server_ = *std::move(server);
    thread_ = std::thread([this] { loop_.run(); });
}

LiveServer::~LiveServer() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
    server_.reset();
}

RawClient::RawClient(const Address& address)
    : fd_(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    REQUIRE(::connect(fd_.get(), address.sockaddrPtr(), address.length()) == 0);
}

bool RawClient::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

bool RawClient::readSome(Instant deadline) {
    pollfd poll{fd_.get(), POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Mono::now());
    if (ended_ || left.count() <= 0 || ::poll(&poll, 1, static_cast<int>(left.count())) <= 0)
        return false;
    char buffer[65536];
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    ended_ = n <= 0;
    if (n > 0) received_.append(buffer, static_cast<size_t>(n));
    return n > 0;
}

bool RawClient::readUntil(std::string_view text) {
    const Instant deadline = Mono::now() + 10s;
    while (received_.find(text) == std::string::npos)
        if (!readSome(deadline)) return false;
    return true;
}

bool RawClient::readToEnd() {
    const Instant deadline = Mono::now() + 10s;
    while (readSome(deadline)) {
    }
    return ended_;
}

std::string exchange(const Address& address, const std::string& request_line,
                     const std::string& headers, const std::string& body) {
    RawClient client(address);
    client.send(request_line + " HTTP/1.1\r\nConnection: close\r\n" + headers +
                (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") +
                "\r\n" + body);
    client.readToEnd();
    return client.received();
}

int statusOf(const std::string& answer) {
    return answer.size() > 12 ? std::stoi(answer.substr(9, 3)) : 0;
}
std::string bodyOf(const std::string& answer) {
    const auto end = answer.find("\r\n\r\n");
    return end == std::string::npos ? "" : answer.substr(end + 4);
}

}  // namespace regrow::admin::testing
