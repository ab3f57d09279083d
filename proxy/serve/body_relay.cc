#include "proxy/serve/body_relay.h"

#include <cstring>

#include "proxy/http/forward.h"

namespace regrow::serve {

constexpr std::string_view kZero = "0\r\n";  // the last chunk, before its trailers

static_assert(kHeadroom >= proxy::kChunkHeadBytes);
static_assert(kTailroom >= proxy::kChunkEnd.size() + proxy::kLastChunk.size());

void BodyRelay::begin(http::Body in, bool chunk_out, bool pass_trailers) {
    *this = BodyRelay();
    decoder_ = http::BodyDecoder(in);
    chunk_out_ = chunk_out;
    pass_trailers_ = pass_trailers;
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
        if (pass_trailers_ && !step.trailers.empty())
            keepTrailers(in.data() + (step.trailers.data() - in.data()), step.trailers.size());
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
        if (!received_) return;
        if (trailers_.empty()) {
            out_ = proxy::kLastChunk;
            return;
        }
        begin = const_cast<char*>(trailers_.data()) - kZero.size();
        out_ = {begin, static_cast<size_t>(frameEnd(begin) - begin)};
        return;
    }
    char text[proxy::kChunkHeadBytes];
    proxy::HeadWriter head(text, sizeof text);
    proxy::writeChunkHead(head, payload);
    begin -= head.size();
    std::memcpy(begin, text, head.size());
    std::memcpy(end, proxy::kChunkEnd.data(), proxy::kChunkEnd.size());
    end += proxy::kChunkEnd.size();
    if (received_) end = frameEnd(end);
    out_ = {begin, static_cast<size_t>(end - begin)};
}

// The last chunk, the trailers (which lie behind `to`, where they were received), the empty line.
char* BodyRelay::frameEnd(char* to) {
    std::memcpy(to, kZero.data(), kZero.size());
    to += kZero.size();
    if (!trailers_.empty()) std::memmove(to, trailers_.data(), trailers_.size());
    to += trailers_.size();
    std::memcpy(to, proxy::kChunkEnd.data(), proxy::kChunkEnd.size());
    return to + proxy::kChunkEnd.size();
}

// Draws together, in place, the lines that may be passed on.
void BodyRelay::keepTrailers(char* lines, size_t size) {
    char* kept = lines;
    for (std::string_view rest(lines, size); !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find("\r\n") + 2);
        rest.remove_prefix(line.size());
        if (!proxy::allowedInTrailers(line.substr(0, line.find(':')))) continue;
        std::memmove(kept, line.data(), line.size());
        kept += line.size();
    }
    trailers_ = {lines, static_cast<size_t>(kept - lines)};
}

bool BodyRelay::closed(Buffer& in, std::string_view trailers) {
    if (received_) return true;
    if (!decoder_.finishedByClose()) return false;
    received_ = true;
    if (chunk_out_) out_ = proxy::kLastChunk;
    if (!pass_trailers_ || trailers.empty() || !in.lent()) return true;
    in.rewind();
    char* copy = in.roomBegin() + kZero.size();
    std::memcpy(copy, trailers.data(), trailers.size());
    keepTrailers(copy, trailers.size());
    if (chunk_out_ && !trailers_.empty()) frame(nullptr, nullptr);
    return true;
}

void BodyRelay::endHere() {
    received_ = true;
    if (!chunk_out_) return;
    if (out_.empty()) {
        out_ = proxy::kLastChunk;
        return;
    }
    char* const end = const_cast<char*>(out_.data()) + out_.size();
    out_ = {out_.data(), static_cast<size_t>(frameEnd(end) - out_.data())};
}

}  // namespace regrow::serve
