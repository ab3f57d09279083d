#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include "proxy/serve/body_encoder.h"

// The three libraries behind one shape. Levels are those at which a proxy's CPU is better spent on
// the next request than on the last percent: gzip 4, brotli 3, zstd 3 shrink text to a third or
// less.
namespace regrow::serve {
namespace {

constexpr int kGzipLevel = 4;
constexpr int kBrotliQuality = 3;
constexpr int kBrotliWindow = 18;  // 256 KiB: what a response needs, not what an archive does
constexpr int kZstdLevel = 3;
constexpr int kZstdWindow = 18;  // clients may refuse more than 8 MiB (RFC 9659)

class Gzip final : public Compressor {
  public:
    Gzip() {
        constexpr int kWithGzipHeader = 15 + 16;
        failed_ = deflateInit2(&stream_, kGzipLevel, Z_DEFLATED, kWithGzipHeader, 8,
                               Z_DEFAULT_STRATEGY) != Z_OK;
    }
    ~Gzip() override { deflateEnd(&stream_); }
    bool run(std::string_view& in, Step step, char*& out, char* out_end) override {
        stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
        stream_.avail_in = static_cast<uInt>(in.size());
        stream_.next_out = reinterpret_cast<Bytef*>(out);
        stream_.avail_out = static_cast<uInt>(out_end - out);
        const int mode = step == Step::end     ? Z_FINISH
                         : step == Step::flush ? Z_SYNC_FLUSH
                                               : Z_NO_FLUSH;
        const int result = deflate(&stream_, mode);
        failed_ = result == Z_STREAM_ERROR;
        in.remove_prefix(in.size() - stream_.avail_in);
        out = reinterpret_cast<char*>(stream_.next_out);
        if (step == Step::end) return result == Z_STREAM_END;
        return !failed_ && stream_.avail_in == 0 && stream_.avail_out > 0;
    }
    bool failed() const override { return failed_; }

  private:
    z_stream stream_{};
    bool failed_ = false;
};

class Brotli final : public Compressor {
  public:
    Brotli() : state_(BrotliEncoderCreateInstance(nullptr, nullptr, nullptr)) {
        if (!state_) return;
        BrotliEncoderSetParameter(state_, BROTLI_PARAM_QUALITY, kBrotliQuality);
        BrotliEncoderSetParameter(state_, BROTLI_PARAM_LGWIN, kBrotliWindow);
    }
    ~Brotli() override {
        if (state_) BrotliEncoderDestroyInstance(state_);
    }
    bool run(std::string_view& in, Step step, char*& out, char* out_end) override {
        const BrotliEncoderOperation mode = step == Step::end     ? BROTLI_OPERATION_FINISH
                                            : step == Step::flush ? BROTLI_OPERATION_FLUSH
                                                                  : BROTLI_OPERATION_PROCESS;
        const auto* from = reinterpret_cast<const uint8_t*>(in.data());
        auto* to = reinterpret_cast<uint8_t*>(out);
        size_t left = in.size();
        auto room = static_cast<size_t>(out_end - out);
        failed_ = !state_ || BrotliEncoderCompressStream(state_, mode, &left, &from, &room, &to,
                                                         nullptr) == BROTLI_FALSE;
        in.remove_prefix(in.size() - left);
        out = reinterpret_cast<char*>(to);
        if (failed_ || left > 0 || BrotliEncoderHasMoreOutput(state_)) return false;
        return step != Step::end || BrotliEncoderIsFinished(state_);
    }
    bool failed() const override { return failed_; }

  private:
    BrotliEncoderState* state_;
    bool failed_ = false;
};

class Zstd final : public Compressor {
  public:
    Zstd() : context_(ZSTD_createCCtx()) {
        if (!context_) return;
        ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, kZstdLevel);
        ZSTD_CCtx_setParameter(context_, ZSTD_c_windowLog, kZstdWindow);
    }
    ~Zstd() override { ZSTD_freeCCtx(context_); }
    bool run(std::string_view& in, Step step, char*& out, char* out_end) override {
        ZSTD_inBuffer from{in.data(), in.size(), 0};
        ZSTD_outBuffer to{out, static_cast<size_t>(out_end - out), 0};
        const ZSTD_EndDirective mode = step == Step::end     ? ZSTD_e_end
                                       : step == Step::flush ? ZSTD_e_flush
                                                             : ZSTD_e_continue;
        size_t left = 0;
        do left = context_ ? ZSTD_compressStream2(context_, &to, &from, mode) : size_t{0};
        while (step == Step::run && !ZSTD_isError(left) && from.pos < from.size &&
               to.pos < to.size);
        failed_ = !context_ || ZSTD_isError(left);
        in.remove_prefix(from.pos);
        out += to.pos;
        if (failed_ || from.pos < from.size) return false;
        return step == Step::run || left == 0;
    }
    bool failed() const override { return failed_; }

  private:
    ZSTD_CCtx* context_;
    bool failed_ = false;
};

}  // namespace

std::unique_ptr<Compressor> makeCompressor(conf::Coding coding) {
    switch (coding) {
        case conf::Coding::br: return std::make_unique<Brotli>();
        case conf::Coding::zstd: return std::make_unique<Zstd>();
        case conf::Coding::gzip:
        case conf::Coding::identity: break;
    }
    return std::make_unique<Gzip>();
}

}  // namespace regrow::serve
