#include "health/probe.h"

#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace regrow::health {
namespace {

// Trouble of this machine says nothing about the server.
bool isOurs(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
           error == EADDRNOTAVAIL || error == EACCES || error == EPERM;
}

std::string describe(int error) {
    switch (error) {
        case ECONNREFUSED: return "connection refused";
        case ECONNRESET: return "connection reset";
        case EPIPE: return "connection closed";
        case ENOENT: return "no such socket";
        default: {
            const char* text = ::strerrordesc_np(error);
            return text ? text : fmt::format("error {}", error);
        }
    }
}

}  // namespace

void Probe::start(Checker::Done done) {
    done_ = std::move(done);
    started_ = Mono::now();
    deadline_ = Timer(loop_, [this] { expired(); });
    deadline_.after(timeout_);
    open();
}

// Failing at once is told from the loop too, so that a caller never meets its own callback within
// start().
void Probe::open() {
    fd_.reset(::socket(address_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    int error = fd_ ? 0 : errno;
    if (fd_) {
        if (::connect(fd_.get(), address_.sockaddrPtr(), address_.length()) != 0 &&
            errno != EINPROGRESS)
            error = errno;
    }
    if (error != 0) {
        deadline_ = Timer(loop_, [this, error] { finishErrno(error, "connecting"); });
        deadline_.after(Duration{});
        return;
    }
    connecting_ = true;
    await(Wait::write);
}

void Probe::resetOnClose() {
    const linger reset{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

void Probe::await(Wait what) {
    watch_ = FdWatch(loop_, fd_.get(), what == Wait::read ? EV_READ : EV_WRITE, [this](short) {
        if (connecting_)
            opened();
        else
            ready();
    });
}

void Probe::opened() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return finishErrno(error, "connecting");
    connecting_ = false;
    connected();
}

void Probe::expired() {
    const auto after = formatDuration(timeout_);
    if (connecting_)
        finish(Outcome::no_answer, fmt::format("timeout after {} (connecting)", after));
    else if (!heard())
        finish(Outcome::no_answer, fmt::format("timeout after {} (no byte)", after));
    else
        finish(Outcome::bad_answer, fmt::format("timeout after {} (answer incomplete)", after));
}

void Probe::finishErrno(int error, std::string_view doing) {
    // A unix socket with a full backlog refuses with EAGAIN: the server is there but takes nobody.
    if (isOurs(error))
        return finish(Outcome::not_run, fmt::format("not run, {}: {}", doing, describe(error)));
    finish(heard() ? Outcome::bad_answer : Outcome::no_answer,
           error == EAGAIN ? "backlog full" : describe(error));
}

void Probe::finish(Outcome outcome, std::string text) {
    watch_.cancel();
    deadline_.cancel();
    fd_.reset();
    auto done = std::move(done_);
    done({.outcome = outcome, .text = std::move(text), .took = Mono::now() - started_});
}

}  // namespace regrow::health
