#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/unique_fd.h"

namespace regrow::net {

// What a read or write came to. "Would block" and "closed" are outcomes, not errors.
struct IoResult {
    enum class Kind : uint8_t { bytes, would_block, closed, failed };
    Kind kind = Kind::would_block;
    size_t bytes = 0;
    int error = 0;  // errno, for failed
};

// A connected, non-blocking byte stream. Plain TCP or unix today; a TLS transport takes the same
// calls, which is why nobody outside calls recv or send. Owns the descriptor. Owner's thread only.
class Transport {
  public:
    void adopt(UniqueFd fd) { fd_ = std::move(fd); }
    int fd() const { return fd_.get(); }
    bool open() const { return static_cast<bool>(fd_); }

    IoResult receive(char* to, size_t room);
    IoResult send(const iovec* parts, int count);
    IoResult send(std::string_view bytes);
    // What a receive would say, without taking anything: `bytes` when there is data.
    IoResult peek() const;
    // The outcome of a connect that was in progress; 0 = connected.
    int connectError() const;

    void shutdownSend();  // the peer reads our end of file; we go on reading
    void close() { fd_.reset(); }
    // Closes with a reset and throws away what the kernel has not sent yet: after this not one more
    // byte leaves.
    void abort();

  private:
    UniqueFd fd_;
};

}  // namespace regrow::net
