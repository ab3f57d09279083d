#pragma once

#include <cstdint>

#include "proxy/net/client_table.h"
#include "proxy/serve/list.h"

namespace regrow::serve {

struct InWorker;

// A client's connection, whatever is spoken on it: what its worker asks of each. Worker's thread;
// recycled.
class ClientConnection : public Link<InWorker> {
  public:
    ClientConnection() = default;
    ClientConnection(const ClientConnection&) = delete;
    ClientConnection& operator=(const ClientConnection&) = delete;
    virtual ~ClientConnection() = default;

    virtual void end() = 0;            // now, whatever it is doing
    virtual void closeWhenIdle() = 0;  // now, or when what is under way has ended
    virtual uint32_t listenerSlot() const = 0;
    uint32_t client_entry = net::ClientTable::kNone;  // where its client is counted
    virtual void recycle() = 0;  // closed, and the turn is over: back to the worker's free list
};

}  // namespace regrow::serve
