#include "backup/compress.h"

#include <zstd.h>

#include <cassert>

#include "backup/bytes.h"

namespace regrow::backup {
namespace {

constexpr int kLevel = 1;

struct FreeDecompressor {
    void operator()(ZSTD_DCtx* c) const { ZSTD_freeDCtx(c); }
};

}  // namespace

struct Compressor::Impl {
    Impl() : context(ZSTD_createCCtx()) { assert(context); }
    ~Impl() { ZSTD_freeCCtx(context); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ZSTD_CCtx* context;
};

Compressor::Compressor() : impl_(std::make_unique<Impl>()) {}
Compressor::~Compressor() = default;
Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;

bool Compressor::pack(std::string_view plain, std::string& packed) {
    const size_t worthwhile = plain.size() - plain.size() / 50;
    makeRoom(packed, ZSTD_compressBound(plain.size()));
    const size_t n = ZSTD_compressCCtx(impl_->context, packed.data(), packed.size(), plain.data(),
                                       plain.size(), kLevel);
    if (ZSTD_isError(n) || n >= worthwhile) return false;
    packed.resize(n);
    return true;
}

Result<> unpack(std::string_view packed, size_t plain_size, std::string& plain) {
    thread_local const std::unique_ptr<ZSTD_DCtx, FreeDecompressor> context(ZSTD_createDCtx());
    makeRoom(plain, plain_size);
    const size_t n = ZSTD_decompressDCtx(context.get(), plain.data(), plain.size(), packed.data(),
                                         packed.size());
    if (!ZSTD_isError(n) && n == plain_size) return {};
    plain.clear();
    return fail(Code::corrupt, Source::repository, "cannot be decompressed to the size it claims");
}

}  // namespace regrow::backup
