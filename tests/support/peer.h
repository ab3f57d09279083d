#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "base/address.h"
#include "base/clock.h"
#include "base/unique_fd.h"

namespace regrow::test {

// One end of a real connection, used by a test thread as a person would: say something, expect
// something. Every wait has a deadline, and what did not come in time throws with what did, which
// ends the test case with a readable reason.
class Peer {
  public:
    Peer() = default;
    explicit Peer(UniqueFd fd) : fd_(std::move(fd)) {}
    static Peer connect(const Address& to) {
        UniqueFd fd(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(fd.get(), to.sockaddrPtr(), to.length()) < 0)
            throw std::runtime_error("cannot connect to " + to.text());
        return Peer(std::move(fd));
    }

    void say(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n < 0) throw std::runtime_error("the other side takes no more");
            bytes.remove_prefix(static_cast<size_t>(n));
        }
    }
    // What was said until the other side closed or would not take any more.
    size_t sayAsMuchAsGoes(std::string_view bytes) {
        const ssize_t n =
            ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return n < 0 ? 0 : static_cast<size_t>(n);
    }

    // The other side takes more, now or within `patience`.
    bool hasRoom(std::chrono::milliseconds patience) {
        pollfd p{fd_.get(), POLLOUT, 0};
        return ::poll(&p, 1, static_cast<int>(patience.count())) > 0;
    }

    // The bytes up to and including `end`.
    std::string hearUntil(std::string_view end) {
        size_t at = 0;
        while ((at = heard_.find(end)) == std::string::npos) listen("\"" + std::string(end) + "\"");
        return take(at + end.size());
    }
    std::string hear(size_t bytes) {
        while (heard_.size() < bytes) listen(std::to_string(bytes) + " bytes");
        return take(bytes);
    }
    std::string hearHead() { return hearUntil("\r\n\r\n"); }
    // Everything until the other side closes. A reset counts as closing when `or_reset`.
    std::string hearAll(bool or_reset = false) {
        while (listen("the end", true, or_reset)) continue;
        return take(heard_.size());
    }
    bool isReset() {
        try {
            while (listen("a reset", true, false)) continue;
        } catch (const Reset&) {
            return true;
        }
        return false;
    }
    // Nothing is there to be heard at this moment.
    bool silent() {
        pollfd p{fd_.get(), POLLIN, 0};
        return heard_.empty() && ::poll(&p, 1, 0) == 0;
    }

    void finish() { ::shutdown(fd_.get(), SHUT_WR); }
    void close() { fd_.reset(); }
    void reset() {
        const linger now{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
        fd_.reset();
    }
    int fd() const { return fd_.get(); }

  private:
    struct Reset : std::runtime_error {
        using std::runtime_error::runtime_error;
    };

    std::string take(size_t bytes) {
        std::string taken = heard_.substr(0, bytes);
        heard_.erase(0, bytes);
        return taken;
    }
    bool listen(const std::string& wanted, bool end_is_fine = false, bool reset_is_fine = false) {
        pollfd p{fd_.get(), POLLIN, 0};
        if (::poll(&p, 1, 10'000) <= 0)
            throw std::runtime_error("waited in vain for " + wanted + ", heard: " + heard_);
        char bytes[65536];
        const ssize_t n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
        if (n > 0) {
            heard_.append(bytes, static_cast<size_t>(n));
            return true;
        }
        if (n == 0 && end_is_fine) return false;
        if (n < 0 && reset_is_fine) return false;
        if (n < 0) throw Reset("reset while waiting for " + wanted + ", heard: " + heard_);
        throw std::runtime_error("closed while waiting for " + wanted + ", heard: " + heard_);
    }

    UniqueFd fd_;
    std::string heard_;
};

// A server of which the test plays the part: it accepts when the test says so.
class Origin {
  public:
    Origin() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const int on = 1;
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        open(Address::loopback(0));
    }
    const Address& address() const { return address_; }
    Peer accept() {
        if (!called()) throw std::runtime_error("nobody connected to the origin");
        return Peer(UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    }
    bool called(int within_ms = 10'000) {
        pollfd p{fd_.get(), POLLIN, 0};
        return ::poll(&p, 1, within_ms) > 0;
    }
    // Whoever connects from now on waits until this one was accepted (then the kernel of who waits
    // asks again, within a second).
    Peer crowd() {
        ::listen(fd_.get(), 0);
        return Peer::connect(address_);
    }
    void stop() { fd_.reset(); }  // connections are refused from now on
    void restart() {
        fd_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int on = 1;
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        open(address_);
    }

  private:
    void open(const Address& at) {
        sockaddr_storage bound{};
        socklen_t length = sizeof bound;
        if (::bind(fd_.get(), at.sockaddrPtr(), at.length()) < 0 || ::listen(fd_.get(), 512) < 0)
            throw std::runtime_error("the origin cannot listen");
        ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&bound), &length);
        address_ = Address::fromSockaddr(reinterpret_cast<sockaddr*>(&bound), length);
    }

    UniqueFd fd_;
    Address address_;
};

}  // namespace regrow::test
