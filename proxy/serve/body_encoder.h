#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "conf/config.h"
#include "proxy/serve/buffer.h"

namespace regrow::serve {

// A stream compressor of one coding: zlib, brotli or zstd. Input goes in, output comes out, as far
// as there is room for it.
class Compressor {
  public:
    enum class Step : uint8_t {
        run,    // more will follow
        flush,  // what was taken must come out now: the client waits for it
        end
    };
    virtual ~Compressor() = default;
    // Takes from `in`, writes to `out`, both shortened by what was used. True: the step is done
    // (all was taken, and for flush and end all is out); false: more room is needed, or it failed.
    virtual bool run(std::string_view& in, Step step, char*& out, char* out_end) = 0;
    virtual bool failed() const = 0;
};
std::unique_ptr<Compressor> makeCompressor(conf::Coding coding);

// A response's content on its way through a compressor. out() is what goes to the client next,
// framed as chunks or not; while it is not all sent, nothing more is taken. Holds one lent block
// while there is something in it. Worker's thread.
class BodyEncoder {
  public:
    BodyEncoder(conf::Coding coding, bool chunk_out)
        : compressor_(makeCompressor(coding)), chunk_out_(chunk_out) {}

    // Takes what it can of `payload`; `last`: nothing follows it; `waiting`: nothing follows soon.
    // Returns the bytes taken. Call with out() empty. False from failed() afterwards, or the
    // response is broken.
    size_t take(std::string_view payload, bool last, bool waiting, BufferPool& pool);
    std::string_view out() const { return out_; }
    void sent(size_t bytes) { out_.remove_prefix(bytes); }
    bool ended() const { return finished_ && out_.empty(); }
    bool failed() const { return compressor_->failed(); }
    // There is input inside that take() with `waiting` would bring out.
    bool holdsBack() const { return holds_back_; }
    void release(BufferPool& pool) { buffer_.release(pool); }

  private:
    void frame(char* begin, char* end, bool last);

    std::unique_ptr<Compressor> compressor_;
    Buffer buffer_;
    std::string_view out_;
    bool chunk_out_;
    bool holds_back_ = false;
    bool finished_ = false;
};

}  // namespace regrow::serve
