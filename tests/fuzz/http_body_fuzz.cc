#include <cstdlib>
#include <string>

#include "base/http/body.h"
#include "tests/support/http_reference.h"

// A chunked body fed in pieces of the size the first byte says: decoded exactly as the reference
// decodes the whole.
namespace {

using namespace regrow;

void require(bool condition) {
    if (!condition) std::abort();
}

struct Decoded {
    http::BodyStep::Kind end = http::BodyStep::Kind::need_more;
    std::string payload, trailers;
    size_t bytes = 0;
};

Decoded decode(const std::string& text, size_t piece) {
    http::BodyDecoder decoder(http::Body{http::BodyKind::chunked, 0});
    Decoded out;
    std::string unread;
    for (size_t at = 0; at < text.size(); at += piece) {
        unread += text.substr(at, piece);
        while (true) {
            const http::BodyStep s = decoder.next(unread);
            out.end = s.kind;
            out.payload += s.payload;
            out.bytes += s.consumed;
            if (s.kind == http::BodyStep::Kind::done) out.trailers = s.trailers;
            require(s.consumed <= unread.size());
            unread.erase(0, s.consumed);
            if (s.kind == http::BodyStep::Kind::need_more) break;
            if (s.kind != http::BodyStep::Kind::payload) return out;
        }
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0 || size > 6000) return 0;
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Decoded d = decode(text, size_t{data[0]} + 1);
    const auto expected = reference::readChunked(text);
    require((d.end == http::BodyStep::Kind::done) == expected.has_value());
    if (!expected) return 0;
    require(d.payload == expected->payload && d.trailers == expected->trailers &&
            d.bytes == expected->bytes);
    return 0;
}
