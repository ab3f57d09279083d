#include <strings.h>

#include "proxy/serve/client_stream.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/turn.h"
#include "proxy/serve/worker.h"

// After 101: bytes both ways until both sides have ended theirs. What one side ends is ended
// towards the other, which may go on.
namespace regrow::serve {
namespace {

bool sameProtocol(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

// Only what was asked for: a backend must not be able to turn a plain request into a pipe past us.
void Exchange::startTunnel(const http::ResponseHead& head) {
    const std::string_view asked(upgrade_.data(), upgrade_size_);
    if (asked.empty() || !sameProtocol(asked, head.upgrade))
        return badAnswer("switched protocols unasked");
    upstream_time_ = worker_.now() - attempt_.began;
    shard().latency.record(upstream_time_);
    observeSuccess();
    status_ = 101;
    answered_ = true;
    keep_ = false;
    state_ = State::tunnelling;
    letClientBe();
    client_->readBulk(attempt_.stream->takesBulk());
    attempt_.stream->readBulk(client_->takesBulk());
    std::string_view no_body;
    const auto sent = client_->sendHead(head,
                                        {.method = method_,
                                         .client = version_,
                                         .date = worker_.date(),
                                         .via_name = worker_.proxyName()},
                                        no_body, false);
    if (sent == ClientStream::Sent::failed || sent == ClientStream::Sent::too_large)
        return cancel(Cause::client);
    pumpTunnel();
}

void Exchange::pumpTunnel() {
    armDeadline(pool_->timeouts.tunnel);
    const auto flushed = client_->flush();
    if (flushed == ClientStream::Sent::failed) return cancel(Cause::client);
    const Flow up = pumpUp();
    const Flow down = flushed == ClientStream::Sent::all ? pumpDown() : Flow::blocked;
    if (up == Flow::failed || down == Flow::failed) return cancel(Cause::none);
    if (client_done_ && backend_done_) {
        shard().responses.add();
        return finish();
    }
    if (up == Flow::yield || down == Flow::yield) worker_.resumeLater(*this);
}

Exchange::Flow Exchange::pumpUp() {
    uint64_t moved = 0;
    for (Turn turn; !client_done_ && turn.goesOn(moved);) {
        Buffer& in = client_->body_in;
        if (!in.empty()) {
            const net::IoResult r = attempt_.stream->send(in.view());
            if (r.kind == net::IoResult::Kind::failed) return Flow::failed;
            in.consume(r.bytes);
            moved += r.bytes;
            shard().bytes_out.add(r.bytes);
            if (!in.empty()) return Flow::blocked;
        }
        switch (client_->fill()) {
            case Endpoint::Filled::bytes: client_->lookAgain(); break;
            case Endpoint::Filled::dry: client_->releaseInput(); return Flow::blocked;
            case Endpoint::Filled::end:
                attempt_.stream->endSending();
                client_done_ = true;
                break;
            case Endpoint::Filled::full:
            case Endpoint::Filled::failed: return Flow::failed;
        }
    }
    return client_done_ ? Flow::ended : Flow::yield;
}

Exchange::Flow Exchange::pumpDown() {
    for (Turn turn; !backend_done_ && turn.goesOn(sent_to_client_);) {
        Buffer& in = attempt_.stream->body_in;
        if (!in.empty()) {
            std::string_view bytes = in.view();
            if (client_->sendBody(bytes) == ClientStream::Sent::failed) return Flow::failed;
            const size_t taken = in.size() - bytes.size();
            in.consume(taken);
            sent_to_client_ += taken;
            if (!in.empty()) return Flow::blocked;
        }
        switch (attempt_.stream->fill()) {
            case Endpoint::Filled::bytes: attempt_.stream->lookAgain(); break;
            case Endpoint::Filled::dry: attempt_.stream->releaseInput(); return Flow::blocked;
            case Endpoint::Filled::end:
                client_->endTunnel();
                backend_done_ = true;
                break;
            case Endpoint::Filled::full:
            case Endpoint::Filled::failed: return Flow::failed;
        }
    }
    return backend_done_ ? Flow::ended : Flow::yield;
}

}  // namespace regrow::serve
