#include "proxy/serve/proxy_preface.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/log.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {
namespace {

constexpr Duration kDrainGrace = std::chrono::seconds(1);

}  // namespace

void ProxyPreface::open(UniqueFd fd, const Address& peer, uint32_t listener_slot,
                        ProxyAccepts accepts) {
    fd_ = std::move(fd);
    peer_ = peer;
    listener_slot_ = listener_slot;
    accepts_ = accepts;
    fin_ = false;
    open_ = true;
    if (!worker_.trustOf(listener_slot).trusts(peer)) return refuse("it is not in trusted_proxies");
    watch_.start(
        worker_.base(), fd_.get(),
        [](evutil_socket_t, short what, void* self) {
            static_cast<ProxyPreface*>(self)->onEvent(what);
        },
        this);
    worker_.deadlines.set(deadline_, worker_.now() + worker_.timeoutsOf(listener_slot).header);
}

void ProxyPreface::onEvent(short what) {
    if (what & EV_CLOSED) fin_ = true;
    if (what & (EV_READ | EV_CLOSED)) read();
}

void ProxyPreface::read() {
    char* const bytes = worker_.scratch();
    ssize_t n = 0;
    do n = ::recv(fd_.get(), bytes, kProxyV2Most, MSG_PEEK);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return close();
    ProxyHeader header;
    const ProxyParse result = parseProxyHeader({bytes, static_cast<size_t>(n)}, accepts_, header);
    switch (result.outcome) {
        case ProxyParse::Outcome::need_more:
            if (fin_) close();
            return;
        case ProxyParse::Outcome::error: return refuse(result.flaw);
        case ProxyParse::Outcome::done: return moveOn(header, result.bytes);
    }
}

// What was looked at is taken, and not a byte more.
void ProxyPreface::moveOn(const ProxyHeader& header, size_t bytes) {
    if (::recv(fd_.get(), worker_.scratch(), bytes, 0) != static_cast<ssize_t>(bytes))
        return close();
    watch_.stop();
    UniqueFd fd = std::move(fd_);
    worker_.shardOf(listener_slot_).open.add();  // as our own end takes one away
    worker_.clientOpened();                      // likewise
    worker_.beginClient(std::move(fd), peer_, listener_slot_,
                        header.relayed ? &header.ends : nullptr);
    close();
}

void ProxyPreface::expired() {
    refuse("its PROXY header took too long");
}

void ProxyPreface::refuse(std::string_view why) {
    worker_.shardOf(listener_slot_).bad_requests.add();
    worker_.warnSeldom(listener_slot_, peer_, why);
    close();
}

void ProxyPreface::closeWhenIdle() {
    worker_.deadlines.set(deadline_, worker_.now() + kDrainGrace);
}

void ProxyPreface::close() {
    if (!open_) return;
    open_ = false;
    watch_.stop();
    fd_.reset();
    deadline_.clear();
    Link<InWorker>::unlink();
    worker_.connectionClosed(*this);
}

void ProxyPreface::recycle() {
    worker_.prefaces.giveBack(*this);
}

}  // namespace regrow::serve
