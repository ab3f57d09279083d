#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/address.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

// Servers that misbehave in every way a check must survive, on the loop of the test and on real
// sockets.
namespace regrow::health::test {

// Turns the loop until `until` holds; false when that takes ten seconds.
template <class Condition>
bool runUntil(EventLoop& loop, Condition until) {
    bool late = false;
    Timer guard(loop, [&] { late = true; });
    guard.after(std::chrono::seconds(10));
    while (!until() && !late) event_base_loop(loop.base(), EVLOOP_ONCE);
    return !late;
}

inline Address boundAddress(int fd) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length);
    return Address::fromSockaddr(reinterpret_cast<sockaddr*>(&storage), length);
}

inline UniqueFd bound() {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const Address any = Address::loopback(0);
    REQUIRE(::bind(fd.get(), any.sockaddrPtr(), any.length()) == 0);
    return fd;
}

// A port that is taken, so nobody else gets it, but not listened on: it refuses.
class Refusing {
  public:
    Address address() const { return boundAddress(fd_.get()); }

  private:
    UniqueFd fd_ = bound();
};

// Listens with a full backlog and never accepts: a connection does not come about.
class Full {
  public:
    Full() {
        ::listen(fd_.get(), 0);
        for (auto& filler : fillers_) {
            filler = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            const Address to = address();
            [[maybe_unused]] const int started =
                ::connect(filler.get(), to.sockaddrPtr(), to.length());
        }
    }
    Address address() const { return boundAddress(fd_.get()); }

  private:
    UniqueFd fd_ = bound();
    UniqueFd fillers_[8];
};

// Accepts, and does with each connection what it was told.
class Server {
  public:
    enum class Manner {
        silent,       // accepts, reads, says nothing
        reply,        // `text` once something was read, then waits for the peer to close
        reply_close,  // and closes
        drop,         // closes once something was read
        reset,        // RST once something was read
        drip,         // `text`, a byte every few milliseconds
    };
    Server(EventLoop& loop, Manner manner, std::string text = "")
        : loop_(loop), manner_(manner), text_(std::move(text)) {
        ::listen(fd_.get(), 128);
        watch_ = FdWatch(loop, fd_.get(), EV_READ, [this](short) { accept(); });
    }
    Address address() const { return boundAddress(fd_.get()); }
    void become(Manner manner, std::string text = "") { manner_ = manner, text_ = std::move(text); }
    int accepted() const { return accepted_; }
    int open() const { return static_cast<int>(connections_.size()); }
    int mostOpen() const { return most_open_; }
    const std::string& request() const { return request_; }

  private:
    struct Connection {
        UniqueFd fd;
        FdWatch watch;
        Timer drip;
        size_t sent = 0;
    };

    void accept() {
        UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd) return;
        const int key = fd.get();
        auto& connection = connections_[key];
        connection = std::make_unique<Connection>();
        connection->fd = std::move(fd);
        connection->watch = FdWatch(loop_, key, EV_READ, [this, key](short) { heard(key); });
        ++accepted_;
        most_open_ = std::max(most_open_, open());
    }

    void heard(int key) {
        char buffer[4096];
        const ssize_t n = ::read(key, buffer, sizeof buffer);
        if (n <= 0) return void(connections_.erase(key));
        request_.assign(buffer, static_cast<size_t>(n));
        if (manner_ == Manner::reply || manner_ == Manner::reply_close) send(key, text_);
        if (manner_ == Manner::drip) startDrip(key);
        if (manner_ == Manner::reset) {
            const linger reset{1, 0};
            ::setsockopt(key, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        if (manner_ == Manner::reply_close || manner_ == Manner::drop || manner_ == Manner::reset)
            connections_.erase(key);
    }

    void startDrip(int key) {
        auto& connection = *connections_[key];
        connection.drip = Timer(loop_, [this, key] {
            auto& c = *connections_[key];
            if (c.sent < text_.size()) send(key, text_.substr(c.sent++, 1));
        });
        connection.drip.every(std::chrono::milliseconds(5));
    }

    static void send(int fd, const std::string& text) {
        [[maybe_unused]] const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    }

    EventLoop& loop_;
    Manner manner_;
    std::string text_;
    std::string request_;
    int accepted_ = 0;
    int most_open_ = 0;
    UniqueFd fd_ = bound();
    FdWatch watch_;
    std::map<int, std::unique_ptr<Connection>> connections_;
};

}  // namespace regrow::health::test
