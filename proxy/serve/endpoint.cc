#include "proxy/serve/endpoint.h"

#include <algorithm>

namespace regrow::serve {

Endpoint::Filled Endpoint::fill(BufferPool& pool) {
    constexpr size_t kUsefulRoom = 16 * 1024;
    if (end) return Filled::end;
    if (!readable) return Filled::dry;
    if (bulk && pressing && in.empty())
        in.widen(pool);
    else
        in.ensure(pool);
    if (in.empty()) in.rewind();
    if (in.room() < kUsefulRoom && !in.compacted()) in.compact();
    const size_t room = in.room();
    if (room == 0) return Filled::full;

    const net::IoResult read = transport.receive(in.roomBegin(), room);
    switch (read.kind) {
        case net::IoResult::Kind::bytes:
            in.filled(read.bytes);
            pressing = read.bytes >= std::min(room, kBlockBytes);
            if (transport.secured()) [[unlikely]]
                readable = !transport.tls()->dry();
            else if (read.bytes < room && !fin)
                readable = false;
            return Filled::bytes;
        case net::IoResult::Kind::would_block: readable = false; return Filled::dry;
        case net::IoResult::Kind::closed:
            end = true;
            readable = false;
            return Filled::end;
        case net::IoResult::Kind::failed: break;
    }
    error = read.error;
    readable = false;
    return Filled::failed;
}

// What the kernel did not take of a record goes out by itself: an answer to the peer's own protocol
// has nobody else who would send it.
void Endpoint::noteSecured(short what) {
    if (what & (EV_READ | EV_CLOSED)) transport.tls()->noteReadable(fin);
    if ((what & EV_WRITE) && transport.tls()->established()) transport.tls()->flush();
}

}  // namespace regrow::serve
