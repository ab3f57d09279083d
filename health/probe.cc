#include "health/probe.h"

#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/proxy_protocol.h"
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
    if (speech_.proxy_protocol != conf::ProxyProtocol::off) return;  // it would overtake the header
    const linger reset{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

void Probe::await(Wait what) {
    watch_ = FdWatch(loop_, fd_.get(), what == Wait::read ? EV_READ : EV_WRITE, [this](short) {
        if (stream_) stream_->noteReadable(false);  // these events tell of all there is
        if (connecting_)
            opened();
        else if (shaking_)
            handshake();
        else
            ready();
    });
}

// Where connections begin with a PROXY header a check's does too: it speaks for itself.
bool Probe::introduce() {
    if (speech_.proxy_protocol == conf::ProxyProtocol::off) return true;
    const bool v1 = speech_.proxy_protocol == conf::ProxyProtocol::v1;
    char header[kProxyHeaderRoom];
    const size_t size = writeLocalProxyHeader(v1 ? ProxyVersion::v1 : ProxyVersion::v2, header);
    return ::send(fd_.get(), header, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

void Probe::opened() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return finishErrno(error, "connecting");
    connecting_ = false;
    if (!introduce()) return finishErrno(errno, "sending");
    const auto& tls = speech_.tls;
    if (!tls) return connected();
    auto session = tls->session(address_);
    if (!session) return finish(Outcome::not_run, "not run, no TLS session");
    stream_ = std::make_unique<tls::Stream>(std::move(session), fd_.get(), tls);
    shaking_ = true;
    handshake();
}

// A server whose certificate is wrong answers: nobody can use it, but it is not dead.
void Probe::handshake() {
    switch (stream_->handshake()) {
        case tls::Stream::Shake::done: shaking_ = false; return connected();
        case tls::Stream::Shake::waiting:
            return await(stream_->flushed() ? Wait::read : Wait::write);
        case tls::Stream::Shake::not_tls:
        case tls::Stream::Shake::failed: break;
    }
    finish(stream_->heard() ? Outcome::bad_answer : Outcome::no_answer,
           fmt::format("TLS: {}", stream_->trouble()));
}

IoResult Probe::send(std::string_view bytes) {
    if (stream_) {
        const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
        return stream_->send(&part, 1);
    }
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) return {IoResult::Kind::bytes, static_cast<size_t>(n), 0};
    if (errno == EAGAIN || errno == EINTR) return {};
    return {IoResult::Kind::failed, 0, errno};
}

// Decrypted bytes that are left behind would be announced by no event: all are taken.
IoResult Probe::receive(std::string& to) {
    char buffer[65536];
    if (stream_) {
        const IoResult r = stream_->receive(buffer, sizeof buffer);
        to.append(buffer, r.bytes);
        return r;
    }
    const ssize_t n = ::recv(fd_.get(), buffer, 4096, 0);
    if (n > 0) to.append(buffer, static_cast<size_t>(n));
    if (n > 0) return {IoResult::Kind::bytes, static_cast<size_t>(n), 0};
    if (n == 0) return {IoResult::Kind::closed, 0, 0};
    if (errno == EAGAIN || errno == EINTR) return {};
    return {IoResult::Kind::failed, 0, errno};
}

void Probe::expired() {
    const auto after = formatDuration(timeout_);
    if (connecting_)
        finish(Outcome::no_answer, fmt::format("timeout after {} (connecting)", after));
    else if (shaking_ && stream_->heard())
        finish(Outcome::bad_answer, fmt::format("timeout after {} (TLS handshake)", after));
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
    stream_.reset();
    fd_.reset();
    auto done = std::move(done_);
    done({.outcome = outcome, .text = std::move(text), .took = Mono::now() - started_});
}

}  // namespace regrow::health
