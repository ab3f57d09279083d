#include "proxy/serve/body_relay.h"

#include <cstring>

#include "proxy/http/forward.h"

namespace regrow::serve {

static_assert(kHeadroom >= proxy::kChunkHeadBytes);
static_assert(kTailroom >= proxy::kChunkEnd.size() + proxy::kLastChunk.size());

void BodyRelay::begin(http::Body in, bool chunk_out) {
    *this = BodyRelay();
    decoder_ = http::BodyDecoder(in);
    chunk_out_ = chunk_out;
    received_ = decoder_.done();
}

bool BodyRelay::transform(Buffer& in) {
    char* begin = nullptr;
    char* end = nullptr;
    while (!received_) {
        const http::BodyStep step = decoder_.next(in.view());
        if (step.kind == http::BodyStep::Kind::error) {
            flaw_ = step.flaw;
            return false;
        }
        if (step.kind == http::BodyStep::Kind::payload) {
            char* piece = in.data() + (step.payload.data() - in.data());
            if (!begin) begin = end = piece;
            if (end != piece) std::memmove(end, piece, step.payload.size());
            end += step.payload.size();
        }
        in.consume(step.consumed);
        received_ = step.kind == http::BodyStep::Kind::done;
        if (step.kind == http::BodyStep::Kind::need_more) break;
    }
    frame(begin, end);
    return true;
}

// What surrounds the payload fits where the received framing stood, or in the room kept at the
// block's ends.
void BodyRelay::frame(char* begin, char* end) {
    const auto payload = static_cast<size_t>(end - begin);
    payload_bytes_ += payload;
    if (!chunk_out_) {
        out_ = {begin, payload};
        return;
    }
    if (!begin) {
        if (received_) out_ = proxy::kLastChunk;
        return;
    }
    char text[proxy::kChunkHeadBytes];
    proxy::HeadWriter head(text, sizeof text);
    proxy::writeChunkHead(head, payload);
    begin -= head.size();
    std::memcpy(begin, text, head.size());
    std::memcpy(end, proxy::kChunkEnd.data(), proxy::kChunkEnd.size());
    end += proxy::kChunkEnd.size();
    if (received_) {
        std::memcpy(end, proxy::kLastChunk.data(), proxy::kLastChunk.size());
        end += proxy::kLastChunk.size();
    }
    out_ = {begin, static_cast<size_t>(end - begin)};
}

bool BodyRelay::closed() {
    if (received_) return true;
    if (!decoder_.finishedByClose()) return false;
    received_ = true;
    if (chunk_out_) out_ = proxy::kLastChunk;
    return true;
}

}  // namespace regrow::serve
