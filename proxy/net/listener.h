#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace regrow::net {

// The listening sockets of one address: one per worker, joined by SO_REUSEPORT so that the kernel
// spreads connections and no two workers wake for the same one. A unix path cannot be shared like
// that: all workers accept on one socket. Control owns it for the life of the address: a socket
// with connections in its backlog is not closed for a reload.
//
// SO_REUSEPORT would also let a second proxy of the same user join a taken port in silence, so the
// address is first bound once without it: what is taken says so.
class ListenSockets {
  public:
    // `unix_mode`: of a unix path.
    static Result<ListenSockets> open(const Address& address, int workers, int unix_mode = 0660);
    ListenSockets() = default;
    ListenSockets(ListenSockets&&) = default;
    ListenSockets& operator=(ListenSockets&&) = default;
    ~ListenSockets() { close(); }

    const Address& address() const { return address_; }  // with the port the kernel chose
    int fd(int worker) const;
    void close();  // also removes a unix path

  private:
    Address address_;
    std::vector<UniqueFd> fds_;
};

// Accepts from one listening socket on a worker's loop. Level-triggered and a bounded number a
// turn, so that a flood of connections leaves room for requests. Out of descriptors or memory it
// pauses, because accept would fail again at once, for ever; its owner calls resume() some time
// later.
class Acceptor {
  public:
    using OnAccept = void (*)(void* owner, UniqueFd fd, const Address& peer,
                              uint32_t listener_slot);

    Acceptor(event_base* base, int fd, uint32_t listener_slot, OnAccept on_accept, void* owner);
    ~Acceptor();
    Acceptor(const Acceptor&) = delete;
    Acceptor& operator=(const Acceptor&) = delete;

    uint32_t listenerSlot() const { return slot_; }
    void start();
    void stop();   // and takes what is in the backlog now: those clients were promised an answer
    void pause();  // until resume(); who comes waits in the backlog
    void resume() {
        if (paused_) start();
    }

  private:
    static constexpr int kAcceptsATurn = 64;
    bool acceptUpTo(int count);  // false: nothing more to take

    event event_{};
    int fd_;
    uint32_t slot_;
    OnAccept on_accept_;
    void* owner_;
    bool active_ = false;
    bool paused_ = false;
};

}  // namespace regrow::net
