#pragma once

#include <sys/uio.h>

#include <memory>
#include <string_view>

#include "base/io_result.h"
#include "base/tls/stream.h"
#include "base/unique_fd.h"

namespace regrow::net {

using regrow::IoResult;

// A connected, non-blocking byte stream: plain TCP or unix, or TLS over it, which takes the same
// calls; so nobody outside calls recv or send. Owns the descriptor. Owner's thread only.
//
// A plain connection pays eight bytes and a branch that is never taken: no virtual call stands
// between a request and the kernel.
class Transport {
  public:
    void adopt(UniqueFd fd) { fd_ = std::move(fd); }
    int fd() const { return fd_.get(); }
    bool open() const { return static_cast<bool>(fd_); }

    // From here on TLS is spoken, beginning with its handshake, which has to be led to its end
    // before anything is received or sent. `keeper` lives as long as the session.
    void secure(tls::SessionPtr session, std::shared_ptr<const void> keeper);
    // Plain again: for who never spoke TLS, and must be told so.
    void unsecure() { tls_.reset(); }
    bool secured() const { return tls_ != nullptr; }
    tls::Stream* tls() const { return tls_.get(); }

    IoResult receive(char* to, size_t room);
    IoResult send(const iovec* parts, int count);
    IoResult send(std::string_view bytes);
    // What a receive would say, without taking anything: `bytes` when there is data.
    IoResult peek() const;
    // Bytes that the kernel has taken and the peer has not acknowledged.
    uint32_t queued() const;
    // The outcome of a connect that was in progress; 0 = connected.
    int connectError() const;

    void shutdownSend();  // the peer reads our end of file; we go on reading
    void close();
    // Closes with a reset and throws away what the kernel has not sent yet: after this not one more
    // byte leaves.
    void abort();

  private:
    UniqueFd fd_;
    std::unique_ptr<tls::Stream> tls_;
};

}  // namespace regrow::net
