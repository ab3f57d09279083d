#include "base/log.h"
#include "proxy/serve/client_session.h"
#include "proxy/serve/worker.h"

// The handshake before the first request. It has as long as a head may take; afterwards the session
// reads and writes as ever, and only its transport knows.
namespace regrow::serve {

void ClientSession::beginTls(const std::shared_ptr<const net::TlsServer>& tls) {
    auto session = tls->session();
    if (!session) return shakeFailed("out of memory");
    transport.secure(std::move(session), tls);
    state_ = State::shaking;
}

void ClientSession::shake() {
    tls::Stream& stream = *transport.tls();
    ListenerShard& shard = worker_.shardOf(listener_slot_);
    switch (stream.handshake()) {
        case tls::Stream::Shake::waiting: return;
        case tls::Stream::Shake::failed: return shakeFailed(stream.trouble());
        case tls::Stream::Shake::not_tls:
            // In clear text, which is what this client reads. Its bytes are gone, and more may
            // come: the session lingers.
            shard.handshake_failures.add();
            transport.unsecure();
            readable = true;
            return refuse(400, "this port speaks TLS; ask again with https://");
        case tls::Stream::Shake::done: break;
    }
    shard.handshakes.add();
    if (SSL_session_reused(stream.session()) == 1) shard.resumptions.add();
    identity_.prove(stream.client());
    state_ = State::reading;
    readable = true;  // what came with the last flight is decrypted already, and no event tells
    worker_.deadlines.set(deadline_, worker_.now() + timeouts().header);
    if (stream.protocol() == "h2") return worker_.becomeHttp2(*this);
    run();
}

void ClientSession::shakeFailed(std::string_view why) {
    worker_.shardOf(listener_slot_).handshake_failures.add();
    log::debug("tls", "handshake with {} failed: {}", identity_.ip(), why);
    close();
}

}  // namespace regrow::serve
