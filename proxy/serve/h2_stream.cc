#include "proxy/serve/h2_stream.h"

#include <algorithm>

#include "base/http/chars.h"
#include "proxy/http/response_fields.h"
#include "proxy/http/websocket.h"
#include "proxy/serve/h2_fields.h"
#include "proxy/serve/h2_session.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {
namespace {

constexpr Duration kLinger = std::chrono::seconds(2);

}  // namespace

void H2Stream::open(H2Session& session, int32_t id) {
    H2Flow::reset();
    connection_ = session_ = &session;
    id_ = id;
    exchange_ = nullptr;
    extended_connect_ = unwanted_ = false;
}

void H2Stream::begin(const http::RequestHead& head, std::string_view websocket_key) {
    extended_connect_ = !websocket_key.empty();
    if (extended_connect_) std::ranges::copy(websocket_key, websocket_key_.begin());
    exchange_ = &worker_.exchanges.take(worker_);
    exchange_->begin(*this, head);
}

void H2Stream::refuse(uint16_t status, std::string_view detail) {
    exchange_ = &worker_.exchanges.take(worker_);
    exchange_->refuse(*this, status, detail);
}

void H2Stream::tooManyTrailers() {
    if (wanted()) exchange_->onTooManyTrailers();
}

Endpoint::Filled H2Stream::fill() {
    return gone_ ? Endpoint::Filled::failed : read();
}

void H2Stream::releaseInput() {
    releaseRead();
}

void H2Stream::wake() {
    if (exchange_) exchange_->onClientReadable(false);
}

void H2Stream::room() {
    blocked_ = false;
    if (exchange_) exchange_->onClientWritable();
}

// An answer to an extended CONNECT opens the tunnel with any 2xx: only the backend's 101, with the
// right proof, may become one.
bool H2Stream::acceptable(const http::ResponseHead& head) const {
    if (!extended_connect_ || head.status >= 300) return true;
    if (head.status != 101) return false;
    const http::Field* accept = head.fields.find(proxy::kWebSocketAccept);
    return accept && accept->value() ==
                         proxy::webSocketAccept({websocket_key_.data(), websocket_key_.size()});
}

H2Stream::Sent H2Stream::sendHead(const http::ResponseHead& head, const proxy::ResponseForward& how,
                                  std::string_view& body, bool ended) {
    if (gone_ || !acceptable(head)) return Sent::failed;
    H2Fields fields;
    fields.addStatus(head.status == 101 ? uint16_t{200} : head.status);
    proxy::ResponseText text;
    proxy::visitResponseFields(head, how, text, [&](std::string_view name, std::string_view value) {
        if (!extended_connect_ || !http::equalsIgnoringCase(name, proxy::kWebSocketAccept))
            fields.add(name, value);
    });
    submit(fields.data(), fields.size(), !ended || !body.empty());
    return sendBody(body);
}

H2Stream::Sent H2Stream::sendInterim(const http::ResponseHead& head,
                                     const proxy::ResponseForward& how) {
    if (gone_) return Sent::failed;
    H2Fields fields;
    fields.addStatus(head.status);
    proxy::ResponseText text;
    proxy::visitResponseFields(head, how, text, [&](std::string_view name, std::string_view value) {
        fields.add(name, value);
    });
    nghttp2_submit_headers(session_->library(), NGHTTP2_FLAG_NONE, id_, nullptr, fields.data(),
                           fields.size(), nullptr);
    session_->flushSoon();
    return Sent::all;
}

H2Stream::Sent H2Stream::sendError(const proxy::ErrorResponse& response, uint64_t& body_bytes) {
    if (gone_) return Sent::failed;
    proxy::HeadWriter body = worker_.headWriter();
    proxy::writeErrorBody(body, response);
    std::string_view text = response.head_only ? std::string_view() : body.text();
    H2Fields fields;
    fields.addStatus(response.status);
    proxy::ErrorText numbers;
    proxy::visitErrorFields(
        response, body.size(), numbers,
        [&](std::string_view name, std::string_view value) { fields.add(name, value); });
    submit(fields.data(), fields.size(), !text.empty());
    body_bytes += text.size();
    return sendBody(text);
}

void H2Stream::submit(const nghttp2_nv* fields, size_t count, bool with_body) {
    const nghttp2_data_provider provider = H2Setup::providerOf(*this);
    if (nghttp2_submit_response(session_->library(), id_, fields, count,
                                with_body ? &provider : nullptr) != 0)
        return abandon(NGHTTP2_INTERNAL_ERROR);
    session_->flushSoon();
}

H2Stream::Sent H2Stream::sendBody(std::string_view& body) {
    if (gone_) return Sent::failed;
    body.remove_prefix(put(body));
    return body.empty() ? Sent::all : Sent::blocked;
}

H2Stream::Sent H2Stream::flush() {
    if (gone_) return Sent::failed;
    if (flushed()) return Sent::all;
    blocked_ = true;
    return Sent::blocked;
}

void H2Stream::endTunnel() {
    endOutput();
}

void H2Stream::wrote(size_t bytes) {
    written_ += bytes;
    if (deadline_.armed() && pace_.waits(written_)) setSilence();
    if (out_.empty() && !exchange_) deadline_.clear();  // answered() may set it again
}

void H2Stream::exchangeEnded(bool, bool whole) {
    exchange_ = nullptr;
    deadline_.clear();
    Link<InReadable>::unlink();
    Link<InWritable>::unlink();
    if (gone_) return;
    H2Flow::dropInput();
    unwanted_ = !whole;
    if (!out_.empty()) armSilence();
    endOutput();
}

// RFC 9113 8.1: the client may be told to stop sending a body that nobody reads. Not at once: some
// (curl 7.88) throw the answer away when the reset comes with it.
void H2Stream::answered() {
    if (unwanted_ && !gone_) worker_.deadlines.set(deadline_, worker_.now() + kLinger);
}

void H2Stream::cut(bool) {
    abandon(NGHTTP2_INTERNAL_ERROR);
}

void H2Stream::closed() {
    gone_ = true;
    if (!received_.empty())
        nghttp2_session_consume_connection(session_->library(), received_.size());
    received_.release(worker_.buffers);
    if (exchange_) exchange_->cancel(Cause::client);
    deadline_.clear();
    H2Flow::dropInput();
    dropOutput();
    Link<InSession>::unlink();
    Link<InReadable>::unlink();
    Link<InWritable>::unlink();
    nghttp2_session_set_stream_user_data(session_->library(), id_, nullptr);
    worker_.retire(*this);
}

void H2Stream::onDeadline() {
    if (session_->blocked()) return setSilence();  // whose own deadline is the one that counts
    if (exchange_) return exchange_->onClientDeadline();
    abandon(out_.empty() ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
}

void H2Stream::armSilence() {
    pace_.rest();
    pace_.waits(written_);
    setSilence();
}

void H2Stream::setSilence() {
    worker_.deadlines.set(deadline_, worker_.now() + session_->timeouts().body);
}

const proxy::ClientIdentity& H2Stream::identity() const {
    return session_->identity();
}

bool H2Stream::ends(ClientEnds& ends) const {
    return session_->ends(ends);
}

uint32_t H2Stream::listenerSlot() const {
    return session_->listenerSlot();
}

}  // namespace regrow::serve
