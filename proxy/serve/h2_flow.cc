#include "proxy/serve/h2_flow.h"

#include <algorithm>

#include "base/http/body.h"
#include "proxy/serve/h2_connection.h"
#include "proxy/serve/h2_fields.h"
#include "proxy/serve/worker.h"

namespace regrow::serve {

void H2Fields::addLines(std::string_view lines) {
    for (std::string_view rest = lines; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find("\r\n"));
        rest.remove_prefix(std::min(rest.size(), line.size() + 2));
        const size_t colon = line.find(':');
        const size_t value = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
        add(line.substr(0, colon), line.substr(value));
    }
}

void H2Flow::reset() {
    connection_ = nullptr;
    id_ = 0;
    trailers_in_.clear();
    trailers_out_.clear();
    trailer_count_ = 0;
    ended_ = complete_ = blocked_ = gone_ = false;
}

// What nobody reads gives its share of the connection's window back at once.
bool H2Flow::take(std::string_view payload) {
    if (!wanted()) {
        nghttp2_session_consume(connection_->library(), id_, payload.size());
        return false;
    }
    received_.ensure(worker_.buffers);
    if (received_.empty()) received_.rewind();
    if (payload.size() > received_.room()) {
        abandon(NGHTTP2_FLOW_CONTROL_ERROR);
        return false;
    }
    received_.append(payload);
    return true;
}

void H2Flow::addTrailer(std::string_view name, std::string_view value) {
    if (++trailer_count_ > http::FieldList::kCapacity ||
        trailers_in_.size() + name.size() + value.size() + 4 > http::BodyDecoder::kMaxTrailerBytes)
        return tooManyTrailers();
    trailers_in_.append(name).append(": ").append(value).append("\r\n");
}

Endpoint::Filled H2Flow::read() {
    if (received_.empty() && ended_ && !trailers_in_.empty())
        in_.ensure(worker_.buffers);  // where they are framed for an HTTP/1 peer
    if (received_.empty()) return ended_ ? Endpoint::Filled::end : Endpoint::Filled::dry;
    std::swap(in_, received_);
    if (connection_) {
        nghttp2_session_consume(connection_->library(), id_, in_.size());
        connection_->flushSoon();
    }
    return Endpoint::Filled::bytes;
}

void H2Flow::releaseRead() {
    in_.release(worker_.buffers);
    if (received_.empty()) received_.release(worker_.buffers);
}

size_t H2Flow::put(std::string_view bytes) {
    const size_t taken = std::min(bytes.size(), kHigh - std::min(kHigh, out_.size()));
    if (taken > 0) {
        out_.ensure(worker_.buffers);
        if (out_.empty()) out_.rewind();
        if (out_.room() < taken) out_.compact();
        out_.append(bytes.substr(0, taken));
        nghttp2_session_resume_data(connection_->library(), id_);
        connection_->flushSoon();
    }
    // Full counts too: whoever sees that (flushed()) stops reading, and waits to be told.
    blocked_ = taken < bytes.size() || out_.size() >= kHigh;
    return taken;
}

void H2Flow::endOutput() {
    complete_ = true;
    nghttp2_session_resume_data(connection_->library(), id_);
    connection_->flushSoon();
}

// nghttp2 is ready for a DATA frame of at most so many bytes.
ssize_t H2Flow::offer(size_t most, uint32_t& flags) {
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

int H2Flow::give(const uint8_t* frame_head, size_t length) {
    if (!connection_->takeFrame(frame_head, out_.view().substr(0, length)))
        return NGHTTP2_ERR_WOULDBLOCK;
    out_.consume(length);
    wrote(length);
    if (out_.empty()) out_.release(worker_.buffers);
    if (blocked_ && out_.size() <= kLow) connection_->writableLater(*this);
    return 0;
}

void H2Flow::submitTrailers() {
    H2Fields fields;
    fields.addLines(trailers_out_);
    nghttp2_submit_trailer(connection_->library(), id_, fields.data(), fields.size());
}

void H2Flow::abandon(uint32_t error) {
    if (std::exchange(gone_, true)) return;
    nghttp2_submit_rst_stream(connection_->library(), NGHTTP2_FLAG_NONE, id_, error);
    connection_->flushSoon();
}

void H2Flow::dropInput() {
    if (!received_.empty() && connection_)
        nghttp2_session_consume(connection_->library(), id_, received_.size());
    in_.release(worker_.buffers);
    received_.release(worker_.buffers);
}

void H2Flow::dropOutput() {
    out_.release(worker_.buffers);
}

}  // namespace regrow::serve
