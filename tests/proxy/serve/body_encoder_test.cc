#include "proxy/serve/body_encoder.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <catch2/catch.hpp>

#include "base/http/body.h"
#include "base/random.h"

using namespace regrow;
using namespace regrow::serve;

namespace {

std::string gunzipped(const std::string& bytes) {
    z_stream s{};
    inflateInit2(&s, 15 + 16);
    std::string out(8 << 20, '\0');
    s.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
    s.avail_in = static_cast<uInt>(bytes.size());
    s.next_out = reinterpret_cast<Bytef*>(out.data());
    s.avail_out = static_cast<uInt>(out.size());
    inflate(&s, Z_SYNC_FLUSH);
    out.resize(s.total_out);
    inflateEnd(&s);
    return out;
}

std::string unzstd(const std::string& bytes) {
    std::string out(8 << 20, '\0');
    ZSTD_DCtx* context = ZSTD_createDCtx();
    ZSTD_inBuffer from{bytes.data(), bytes.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (from.pos < from.size)
        if (ZSTD_isError(ZSTD_decompressStream(context, &to, &from))) break;
    ZSTD_freeDCtx(context);
    out.resize(to.pos);
    return out;
}

std::string unbrotli(const std::string& bytes) {
    std::string out(8 << 20, '\0');
    BrotliDecoderState* state = BrotliDecoderCreateInstance(nullptr, nullptr, nullptr);
    const auto* from = reinterpret_cast<const uint8_t*>(bytes.data());
    auto* to = reinterpret_cast<uint8_t*>(out.data());
    size_t left = bytes.size(), room = out.size();
    BrotliDecoderDecompressStream(state, &left, &from, &room, &to, nullptr);
    BrotliDecoderDestroyInstance(state);
    out.resize(out.size() - room);
    return out;
}

std::string decoded(conf::Coding coding, const std::string& bytes) {
    if (coding == conf::Coding::br) return unbrotli(bytes);
    return coding == conf::Coding::zstd ? unzstd(bytes) : gunzipped(bytes);
}

std::string unchunked(std::string_view bytes) {
    http::BodyDecoder decoder({http::BodyKind::chunked, 0});
    std::string out;
    while (!decoder.done()) {
        const http::BodyStep step = decoder.next(bytes);
        if (step.kind == http::BodyStep::Kind::need_more ||
            step.kind == http::BodyStep::Kind::error)
            return "broken framing";
        out += step.payload;
        bytes.remove_prefix(step.consumed);
    }
    return bytes.empty() ? out : "more behind the end";
}

std::string encode(conf::Coding coding, std::string_view payload, size_t step, bool chunked) {
    BufferPool pool;
    BodyEncoder encoder(coding, chunked);
    std::string out;
    while (!encoder.ended()) {
        const std::string_view piece = payload.substr(0, step);
        const bool last = piece.size() == payload.size();
        payload.remove_prefix(encoder.take(piece, last, false, pool));
        REQUIRE_FALSE(encoder.failed());
        out += encoder.out();
        encoder.sent(encoder.out().size());
    }
    encoder.release(pool);
    CHECK(pool.lent() == 0);
    return out;
}

}  // namespace

TEST_CASE("what is encoded comes back, in whatever pieces, framed or not") {
    Random random(3);
    std::string text, noise;
    for (int i = 0; i < 40000; ++i) text += "line " + std::to_string(random.below(1000)) + "\n";
    for (int i = 0; i < 300000; ++i) noise += static_cast<char>(random.next());
    for (const conf::Coding coding : {conf::Coding::gzip, conf::Coding::br, conf::Coding::zstd})
        for (const std::string& payload : {std::string(), std::string("x"), text, noise})
            for (const size_t step : {size_t{100}, size_t{70'000}, size_t{1} << 30}) {
                if (payload.size() > 10'000 && step == 100) continue;
                CHECK(decoded(coding, encode(coding, payload, step, false)) == payload);
                CHECK(decoded(coding, unchunked(encode(coding, payload, step, true))) == payload);
            }
    CHECK(encode(conf::Coding::gzip, text, 1 << 30, false).size() < text.size() / 3);
}

TEST_CASE("a pause brings out what was taken so far") {
    for (const conf::Coding coding : {conf::Coding::gzip, conf::Coding::br, conf::Coding::zstd}) {
        BufferPool pool;
        BodyEncoder encoder(coding, false);
        const std::string event = "data: something happened\n\n";
        CHECK(encoder.take(event, false, false, pool) == event.size());
        std::string out(encoder.out());
        encoder.sent(encoder.out().size());
        CHECK(encoder.holdsBack());
        CHECK(encoder.take({}, false, true, pool) == 0);
        out += encoder.out();
        encoder.sent(encoder.out().size());
        CHECK_FALSE(encoder.holdsBack());
        CHECK(decoded(coding, out) == event);
        encoder.release(pool);
    }
}
