#pragma once

#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <sys/types.h>

#include <memory>
#include <vector>

#include "base/event_loop.h"

namespace regrow::admin {

// Bounds what clients of the admin endpoint may hold: how many connections are open, and how long
// one may take between two complete requests (a hard ceiling: a client that sends a byte every few
// seconds never meets an idle timeout). Control loop only; lives as long as the server.
//
// evhttp tells nobody when a connection without a request ends. So each accepted descriptor is
// remembered with its socket's inode, and a sweep looks whether that very socket is still behind
// it. At the limit the listener rests and newcomers wait in the kernel's backlog.
class ConnectionGuard {
  public:
    ConnectionGuard(EventLoop& loop, evconnlistener* listener, size_t limit, Duration ceiling);

    // The bufferevent of a connection that is being accepted (for evhttp_set_bevcb).
    bufferevent* accept();
    // A complete request came from `fd`: its ceiling starts anew.
    void requestOn(int fd);
    // From here on `fd` is an event stream and has no ceiling.
    void streamOn(int fd);

  private:
    struct Connection {
        int fd;
        ino_t inode;
        Instant since;
        bool stream;
    };
    void remember(int fd);
    void sweep();
    Connection* find(int fd);

    EventLoop& loop_;
    evconnlistener* listener_;
    size_t limit_;
    Duration ceiling_;
    std::vector<Connection> connections_;
    Timer timer_;
    std::shared_ptr<ConnectionGuard*> self_;  // tells tasks still posted whether we live
};

}  // namespace regrow::admin
