#include <strings.h>

#include "proxy/serve/client_session.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/worker.h"

// After 101: bytes both ways until both sides have ended theirs. What one side ends is ended
// towards the other, which may go on.
namespace regrow::serve {
namespace {

// WebSockets may be quiet for long; pings keep them alive. One that says nothing for an hour is
// forgotten.
constexpr Duration kTunnelSilence = std::chrono::hours(1);
constexpr int kRounds = 16;

bool sameProtocol(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

// Only what was asked for: a backend must not be able to turn a plain request into a pipe past us.
void Exchange::startTunnel(const http::ResponseHead& head) {
    const std::string_view asked(upgrade_.data(), upgrade_size_);
    if (asked.empty() || !sameProtocol(asked, head.upgrade))
        return badAnswer("switched protocols unasked");
    upstream_time_ = worker_.now() - attempt_at_;
    shard().latency.record(upstream_time_);
    observeSuccess();
    proxy::HeadWriter out = worker_.headWriter();
    proxy::writeResponseHead(out, head,
                             {.method = method_,
                              .client = version_,
                              .keep_alive = true,
                              .date = worker_.date(),
                              .via_name = worker_.proxyName()});
    status_ = 101;
    answered_ = true;
    keep_ = false;
    state_ = State::tunnelling;
    session_->clearSilence();
    session_->sendLater(out.text());
    pumpTunnel();
}

void Exchange::pumpTunnel() {
    armDeadline(kTunnelSilence);
    const auto flushed = session_->flush();
    if (flushed == ClientSession::Sent::failed) return cancel(Cause::client);
    const Flow up = pumpFlow(*session_, *connection_, client_done_);
    const Flow down = flushed == ClientSession::Sent::all
                          ? pumpFlow(*connection_, *session_, backend_done_)
                          : Flow::blocked;
    if (up == Flow::failed || down == Flow::failed) return cancel(Cause::none);
    if (client_done_ && backend_done_) {
        shard().responses.add();
        return finish();
    }
    if (up == Flow::yield || down == Flow::yield) worker_.resumeLater(*this);
}

Exchange::Flow Exchange::pumpFlow(Endpoint& from, Endpoint& to, bool& finished) {
    for (int round = 0; round < kRounds && !finished; ++round) {
        if (!from.in.empty()) {
            const net::IoResult r = to.transport.send(from.in.view());
            if (r.kind == net::IoResult::Kind::failed) return Flow::failed;
            from.in.consume(r.bytes);
            (&to == session_ ? shard().bytes_in : shard().bytes_out).add(r.bytes);
            if (&to == session_) sent_to_client_ += r.bytes;
            if (!from.in.empty()) return Flow::blocked;
        }
        switch (from.fill(worker_.buffers)) {
            case Endpoint::Filled::bytes: break;
            case Endpoint::Filled::dry: from.in.release(worker_.buffers); return Flow::blocked;
            case Endpoint::Filled::end:
                to.transport.shutdownSend();
                finished = true;
                break;
            case Endpoint::Filled::full:
            case Endpoint::Filled::failed: return Flow::failed;
        }
    }
    return finished ? Flow::ended : Flow::yield;
}

}  // namespace regrow::serve
