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
        if (transport.secured()) [[unlikely]]
            noteSecured(what);
    }
    // Reads once into `in`, which must hold no bytes that somebody still points to. A short read
    // means dry, unless the end is known to follow: it may have come with the data, and no further
    // edge would tell. TLS knows by itself.
    Filled fill(BufferPool& pool);
    // Reading a body that goes straight on to a plain socket: when the sender keeps ahead of us a
    // wide block makes fewer and larger reads, and so sends, of it. TLS works a record at a time
    // and gains nothing.
    void readBulk(bool on) { bulk = on && !transport.secured(); }
    // To be called after a fill() that was not the last of its message. A reset that came with the
    // bytes in one wake-up is not told as an end (libevent makes of EPOLLERR a plain EV_READ), and
    // no further edge will tell: only another read does.
    void lookAgain() {
        if (end) return;
        readable = true;
        if (transport.secured()) [[unlikely]]
            transport.tls()->noteReadable(false);
    }
    // Nothing unread is known of.
    bool drained() const { return in.empty() && !readable; }
    void shut(BufferPool& pool) {
        watch.stop();
        transport.close();
        in.release(pool);
    }
    // Goes on with a connection that another has begun to read.
    void takeOver(Endpoint& from) {
        from.watch.stop();
        std::swap(transport, from.transport);
        std::swap(in, from.in);
        readable = from.readable;
        fin = from.fin;
        end = from.end;
    }
    void reset() {
        readable = fin = end = bulk = pressing = false;
        error = 0;
    }

    void noteSecured(short what);

    net::Transport transport;
    net::Watch watch;
    Buffer in;
    bool readable = false;      // there may be something to read
    bool fin = false;           // the peer closed its side; bytes may come before the end
    bool end = false;           // all has been read
    bool bulk : 1 = false;      // wide blocks may be used
    bool pressing : 1 = false;  // the last read brought as much as a block holds
    int error = 0;              // of a failed read
};

}  // namespace regrow::serve
