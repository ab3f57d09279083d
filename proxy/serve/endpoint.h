#pragma once

#include "proxy/net/transport.h"
#include "proxy/net/watch.h"
#include "proxy/serve/buffer.h"

namespace regrow::serve {

// One connected socket as an edge-triggered reader sees it: a client's or a backend's. What the
// loop reported is remembered here until somebody reads, so that nobody has to ask the kernel
// twice.
struct Endpoint {
    enum class Filled { bytes, dry, full, end, failed };

    // Notes what an event said.
    void note(short what) {
        if (what & EV_CLOSED) fin = true;
        if (what & (EV_READ | EV_CLOSED)) readable = true;
    }
    // Reads once into `in`, which must hold no bytes that somebody still points to. A short read
    // means dry, unless the end is known to follow: it may have come with the data, and no further
    // edge would tell.
    Filled fill(BufferPool& pool);
    // Nothing unread is known of.
    bool drained() const { return in.empty() && !readable; }
    void shut(BufferPool& pool) {
        watch.stop();
        transport.close();
        in.release(pool);
    }
    void reset() {
        readable = fin = end = false;
        error = 0;
    }

    net::Transport transport;
    net::Watch watch;
    Buffer in;
    bool readable = false;  // there may be something to read
    bool fin = false;       // the peer closed its side; bytes may come before the end
    bool end = false;       // all has been read
    int error = 0;          // of a failed read
};

}  // namespace regrow::serve
