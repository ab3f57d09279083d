#include "proxy/admin/connection_guard.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>

namespace regrow::admin {
namespace {

constexpr Duration kSweep = std::chrono::milliseconds(200);

ino_t inodeOf(int fd) {
    struct stat info{};
    return ::fstat(fd, &info) == 0 ? info.st_ino : 0;
}

struct Unref {
    void operator()(bufferevent* b) const { bufferevent_decref(b); }
};

}  // namespace

ConnectionGuard::ConnectionGuard(EventLoop& loop, evconnlistener* listener, size_t limit,
                                 Duration ceiling)
    : loop_(loop),
      listener_(listener),
      limit_(limit),
      ceiling_(ceiling),
      timer_(loop, [this] { sweep(); }),
      self_(std::make_shared<ConnectionGuard*>(this)) {
    timer_.every(kSweep);
}

bufferevent* ConnectionGuard::accept() {
    bufferevent* made = bufferevent_socket_new(loop_.base(), -1, BEV_OPT_CLOSE_ON_FREE);
    if (!made) return nullptr;  // evhttp then makes its own or gives the connection up
    // evhttp sets the descriptor after this returns; the reference keeps it open until we have seen
    // it.
    bufferevent_incref(made);
    loop_.post([self = std::weak_ptr(self_), kept = std::unique_ptr<bufferevent, Unref>(made)] {
        if (const auto guard = self.lock()) (*guard)->remember(bufferevent_getfd(kept.get()));
    });
    return made;
}

void ConnectionGuard::remember(int fd) {
    if (fd < 0) return;
    std::erase_if(connections_, [fd](const Connection& c) { return c.fd == fd; });
    connections_.push_back({fd, inodeOf(fd), loop_.now(), false});
    if (connections_.size() >= limit_) sweep();
}

ConnectionGuard::Connection* ConnectionGuard::find(int fd) {
    const auto it = std::ranges::find(connections_, fd, &Connection::fd);
    return it == connections_.end() ? nullptr : &*it;
}

void ConnectionGuard::requestOn(int fd) {
    if (auto* c = find(fd)) c->since = loop_.now();
}

void ConnectionGuard::streamOn(int fd) {
    if (auto* c = find(fd)) c->stream = true;
}

void ConnectionGuard::sweep() {
    std::erase_if(connections_, [](const Connection& c) { return inodeOf(c.fd) != c.inode; });
    for (const auto& c : connections_)
        if (!c.stream && loop_.now() - c.since > ceiling_)
            ::shutdown(c.fd, SHUT_RDWR);  // evhttp sees the end and frees it
    if (connections_.size() >= limit_) {
        evconnlistener_disable(listener_);
    } else {
        evconnlistener_enable(listener_);
    }
}

}  // namespace regrow::admin
