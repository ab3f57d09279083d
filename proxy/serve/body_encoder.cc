#include "proxy/serve/body_encoder.h"

#include <cstring>

#include "proxy/http/forward.h"

namespace regrow::serve {

size_t BodyEncoder::take(std::string_view payload, bool last, bool waiting, BufferPool& pool) {
    buffer_.ensure(pool);
    buffer_.rewind();
    char* const begin = buffer_.roomBegin();
    char* at = begin;
    const size_t before = payload.size();
    const Compressor::Step step = last      ? Compressor::Step::end
                                  : waiting ? Compressor::Step::flush
                                            : Compressor::Step::run;
    const bool done = compressor_->run(payload, step, at, begin + buffer_.room());
    holds_back_ = !done || step == Compressor::Step::run;
    finished_ = done && last;
    frame(begin, at, finished_);
    if (out_.empty()) buffer_.release(pool);
    return before - payload.size();
}

// The room before and behind the block's bytes takes the framing, as in BodyRelay.
void BodyEncoder::frame(char* begin, char* end, bool last) {
    const auto size = static_cast<size_t>(end - begin);
    out_ = {begin, size};
    if (!chunk_out_) return;
    if (size > 0) {
        char text[proxy::kChunkHeadBytes];
        proxy::HeadWriter head(text, sizeof text);
        proxy::writeChunkHead(head, size);
        begin -= head.size();
        std::memcpy(begin, text, head.size());
        std::memcpy(end, proxy::kChunkEnd.data(), proxy::kChunkEnd.size());
        end += proxy::kChunkEnd.size();
    }
    if (last) {
        std::memcpy(end, proxy::kLastChunk.data(), proxy::kLastChunk.size());
        end += proxy::kLastChunk.size();
    }
    out_ = {begin, static_cast<size_t>(end - begin)};
}

}  // namespace regrow::serve
