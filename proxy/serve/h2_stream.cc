#include "proxy/serve/h2_stream.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/http/chars.h"
#include "proxy/http/response_fields.h"
#include "proxy/serve/h2_session.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {
namespace {

constexpr Duration kLinger = std::chrono::seconds(2);

// A field section as nghttp2 takes it: views, and text of our own kept beside them. nghttp2 copies
// all and writes names in lower case.
class Fields {
  public:
    void add(std::string_view name, std::string_view value) {
        if (count_ == list_.size()) return;
        list_[count_++] = {bytes(name), bytes(value), name.size(), value.size(),
                           NGHTTP2_NV_FLAG_NONE};
    }
    void addStatus(uint16_t status) {
        proxy::HeadWriter text(status_.data(), status_.size());
        text.addNumber(status);
        add(":status", text.text());
    }
    const nghttp2_nv* data() const { return list_.data(); }
    size_t size() const { return count_; }

  private:
    static uint8_t* bytes(std::string_view text) {
        return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
    }
    std::array<nghttp2_nv, http::FieldList::kCapacity + 8> list_;
    std::array<char, 4> status_;
    size_t count_ = 0;
};

// RFC 6455 4.2.2: that the backend read the key proves that it speaks WebSocket.
std::string acceptOf(std::string_view key) {
    const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<uint8_t, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
    std::array<char, 40> encoded{};
    EVP_EncodeBlock(reinterpret_cast<uint8_t*>(encoded.data()), digest.data(),
                    static_cast<int>(size));
    return encoded.data();
}

constexpr std::string_view kAccept = "sec-websocket-accept";

}  // namespace

void H2Stream::open(H2Session& session, int32_t id) {
    session_ = &session;
    id_ = id;
    exchange_ = nullptr;
    trailers_in_.clear();
    trailers_out_.clear();
    trailer_count_ = 0;
    extended_connect_ = ended_ = complete_ = unwanted_ = blocked_ = gone_ = false;
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

// True: somebody will want to hear of it. Nobody reads what comes after the answer; its share of
// the connection's window goes back at once.
bool H2Stream::take(std::string_view payload) {
    if (!exchange_ || gone_) {
        nghttp2_session_consume(session_->library(), id_, payload.size());
        return false;
    }
    received_.ensure(worker_.buffers);
    if (received_.empty()) received_.rewind();
    if (payload.size() > received_.room()) {
        reset(NGHTTP2_FLOW_CONTROL_ERROR);
        return false;
    }
    received_.append(payload);
    return true;
}

void H2Stream::addTrailer(std::string_view name, std::string_view value) {
    if (++trailer_count_ > http::FieldList::kCapacity ||
        trailers_in_.size() + name.size() + value.size() + 4 >
            http::BodyDecoder::kMaxTrailerBytes) {
        if (exchange_ && !gone_) exchange_->onTooManyTrailers();
        return;
    }
    trailers_in_.append(name).append(": ").append(value).append("\r\n");
}

Endpoint::Filled H2Stream::fill() {
    if (gone_) return Endpoint::Filled::failed;
    if (received_.empty() && ended_ && !trailers_in_.empty())
        in_.ensure(worker_.buffers);  // where they are framed for the backend
    if (received_.empty()) return ended_ ? Endpoint::Filled::end : Endpoint::Filled::dry;
    std::swap(in_, received_);
    nghttp2_session_consume(session_->library(), id_, in_.size());
    session_->flushSoon();
    return Endpoint::Filled::bytes;
}

void H2Stream::releaseInput() {
    in_.release(worker_.buffers);
    if (received_.empty()) received_.release(worker_.buffers);
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
    const http::Field* accept = head.fields.find(kAccept);
    return accept && accept->value() == acceptOf({websocket_key_.data(), websocket_key_.size()});
}

H2Stream::Sent H2Stream::sendHead(const http::ResponseHead& head, const proxy::ResponseForward& how,
                                  std::string_view& body, bool ended) {
    if (gone_ || !acceptable(head)) return Sent::failed;
    Fields fields;
    fields.addStatus(head.status == 101 ? uint16_t{200} : head.status);
    proxy::ResponseText text;
    proxy::visitResponseFields(head, how, text, [&](std::string_view name, std::string_view value) {
        if (!extended_connect_ || !http::equalsIgnoringCase(name, kAccept)) fields.add(name, value);
    });
    submit(fields.data(), fields.size(), !ended || !body.empty());
    return sendBody(body);
}

H2Stream::Sent H2Stream::sendInterim(const http::ResponseHead& head,
                                     const proxy::ResponseForward& how) {
    if (gone_) return Sent::failed;
    Fields fields;
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
    Fields fields;
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
        return reset(NGHTTP2_INTERNAL_ERROR);
    session_->flushSoon();
}

H2Stream::Sent H2Stream::sendBody(std::string_view& body) {
    if (gone_) return Sent::failed;
    const size_t taken = std::min(body.size(), kHigh - std::min(kHigh, out_.size()));
    if (taken > 0) {
        out_.ensure(worker_.buffers);
        if (out_.empty()) out_.rewind();
        if (out_.room() < taken) out_.compact();
        out_.append(body.substr(0, taken));
        body.remove_prefix(taken);
        nghttp2_session_resume_data(session_->library(), id_);
        session_->flushSoon();
    }
    blocked_ = !body.empty();
    return blocked_ ? Sent::blocked : Sent::all;
}

H2Stream::Sent H2Stream::flush() {
    if (gone_) return Sent::failed;
    if (flushed()) return Sent::all;
    blocked_ = true;
    return Sent::blocked;
}

void H2Stream::endTunnel() {
    finishOutput();
}

void H2Stream::finishOutput() {
    complete_ = true;
    nghttp2_session_resume_data(session_->library(), id_);
    session_->flushSoon();
}

// nghttp2 is ready for a DATA frame of at most so many bytes.
ssize_t H2Stream::offer(size_t most, uint32_t& flags) {
    const size_t size = std::min(most, out_.size());
    const bool last = complete_ && size == out_.size();
    if (size == 0 && !last) return NGHTTP2_ERR_DEFERRED;
    flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (last) flags |= NGHTTP2_DATA_FLAG_EOF;
    if (last && !trailers_out_.empty()) {
        flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        submitTrailers();
    }
    return static_cast<ssize_t>(size);
}

int H2Stream::give(const uint8_t* frame_head, size_t length) {
    if (!session_->takeFrame(frame_head, out_.view().substr(0, length)))
        return NGHTTP2_ERR_WOULDBLOCK;
    out_.consume(length);
    if (deadline_.armed()) armSilence();  // it reads, however slowly
    if (out_.empty()) {
        out_.release(worker_.buffers);
        if (!exchange_) deadline_.clear();  // answered() may set it again
    }
    if (blocked_ && out_.size() <= kLow) session_->writableLater(*this);
    return 0;
}

void H2Stream::submitTrailers() {
    Fields fields;
    for (std::string_view rest = trailers_out_; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find("\r\n"));
        rest.remove_prefix(std::min(rest.size(), line.size() + 2));
        const size_t colon = line.find(':');
        const size_t value = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
        fields.add(line.substr(0, colon), line.substr(value));
    }
    nghttp2_submit_trailer(session_->library(), id_, fields.data(), fields.size());
}

void H2Stream::exchangeEnded(bool, bool whole) {
    exchange_ = nullptr;
    deadline_.clear();
    Link<InReadable>::unlink();
    Link<InWritable>::unlink();
    if (gone_) return;
    if (!received_.empty()) nghttp2_session_consume(session_->library(), id_, received_.size());
    in_.release(worker_.buffers);
    received_.release(worker_.buffers);
    unwanted_ = !whole;
    if (!out_.empty()) armSilence();
    finishOutput();
}

// RFC 9113 8.1: the client may be told to stop sending a body that nobody reads. Not at once: some
// (curl 7.88) throw the answer away when the reset comes with it.
void H2Stream::answered() {
    if (unwanted_ && !gone_) worker_.deadlines.set(deadline_, worker_.now() + kLinger);
}

void H2Stream::cut(bool) {
    reset(NGHTTP2_INTERNAL_ERROR);
}

void H2Stream::abort() {
    reset(NGHTTP2_CANCEL);
}

void H2Stream::reset(uint32_t error) {
    if (std::exchange(gone_, true)) return;
    nghttp2_submit_rst_stream(session_->library(), NGHTTP2_FLAG_NONE, id_, error);
    session_->flushSoon();
}

void H2Stream::closed() {
    gone_ = true;
    if (!received_.empty())
        nghttp2_session_consume_connection(session_->library(), received_.size());
    if (exchange_) exchange_->cancel(Cause::client);
    deadline_.clear();
    in_.release(worker_.buffers);
    received_.release(worker_.buffers);
    out_.release(worker_.buffers);
    Link<InSession>::unlink();
    Link<InReadable>::unlink();
    Link<InWritable>::unlink();
    nghttp2_session_set_stream_user_data(session_->library(), id_, nullptr);
    worker_.retire(*this);
}

void H2Stream::onDeadline() {
    if (exchange_) return exchange_->onClientDeadline();
    reset(out_.empty() ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
}

void H2Stream::armSilence() {
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
