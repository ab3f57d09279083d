#pragma once

#include <atomic>
#include <cstdint>

namespace regrow::serve {

// Sockets of all workers together, against the process's limit of descriptors. Written once a
// connection, not once a request; a moment old is good enough.
struct SocketCount {
    std::atomic<int64_t> clients{0};
    std::atomic<int64_t> upstreams{0};
};

}  // namespace regrow::serve
