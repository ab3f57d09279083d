#include "base/http/body.h"

#include <catch2/catch.hpp>
#include <string>

using namespace regrow::http;

namespace {

struct Decoded {
    std::string payload, trailers;
    size_t bytes = 0;
    bool done = false;
    Flaw flaw = Flaw::none;
};

std::string lines(int count) {
    std::string text;
    while (count-- > 0) text += "A:\r\n";
    return text;
}

// Feeds `text` in two reads cut at `cut` (0: byte by byte), keeping what is left unconsumed, as a
// connection does.
Decoded decode(Body body, const std::string& text, size_t cut) {
    BodyDecoder decoder(body);
    Decoded out;
    std::string unread;
    for (size_t at = 0; at < text.size();) {
        const size_t end = cut == 0 ? at + 1 : at < cut ? std::min(cut, text.size()) : text.size();
        unread += text.substr(at, end - at);
        at = end;
        while (true) {
            const BodyStep s = decoder.next(unread);
            out.payload += s.payload;
            if (s.kind == BodyStep::Kind::done) out.trailers = s.trailers;
            unread.erase(0, s.consumed);
            out.bytes += s.consumed;
            out.flaw = s.flaw;
            if (s.kind == BodyStep::Kind::payload) continue;
            if (s.kind == BodyStep::Kind::need_more) break;
            out.done = s.kind == BodyStep::Kind::done;
            return out;
        }
    }
    return out;
}

constexpr Body kChunked{BodyKind::chunked, 0};

}  // namespace

TEST_CASE("chunked bodies come out the same however they arrive", "[http]") {
    const std::string text = "5\r\nhello\r\n00a\r\n, world!!!\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n";
    for (size_t cut = 0; cut <= text.size(); ++cut) {
        const Decoded d = decode(kChunked, text + (cut == text.size() ? "GET" : ""), cut);
        INFO(cut);
        REQUIRE(d.done);
        REQUIRE(d.payload == "hello, world!!!");
        REQUIRE(d.trailers == "X-Sum: 1\r\nY:\r\n");
        REQUIRE(d.bytes == text.size());
    }
}

TEST_CASE("payload is forwarded in place", "[http]") {
    const std::string text = "5\r\nhello\r\n0\r\n\r\n";
    BodyDecoder decoder(kChunked);
    const BodyStep s = decoder.next(text);
    CHECK(s.kind == BodyStep::Kind::payload);
    CHECK(s.payload.data() == text.data() + 3);
    CHECK(s.consumed == 8);
}

TEST_CASE("bodies with a length end there", "[http]") {
    const Decoded d = decode({BodyKind::length, 5}, "helloGET /", 3);
    CHECK(d.done);
    CHECK(d.payload == "hello");
    CHECK(d.bytes == 5);
    CHECK(BodyDecoder(Body{}).done());
    BodyDecoder cut_off(Body{BodyKind::length, 5});
    cut_off.next("hel");
    CHECK_FALSE(cut_off.finishedByClose());
    CHECK(cut_off.contiguous() == 2);
}

TEST_CASE("bodies until close end by closing only", "[http]") {
    const Decoded d = decode({BodyKind::until_close, 0}, "any\nthing", 0);
    CHECK_FALSE(d.done);
    CHECK(d.payload == "any\nthing");
    BodyDecoder decoder(Body{BodyKind::until_close, 0});
    CHECK(decoder.finishedByClose());
    CHECK(decoder.contiguous() == UINT64_MAX);
}

TEST_CASE("payload may go by without being shown", "[http]") {
    BodyDecoder decoder(kChunked);
    BodyStep s = decoder.next("a\r\n12");
    CHECK(s.payload == "12");
    CHECK(decoder.contiguous() == 8);
    decoder.skip(8);
    CHECK(decoder.contiguous() == 0);
    s = decoder.next("\r\n0\r\n\r\n");
    CHECK(s.kind == BodyStep::Kind::done);
    CHECK(s.consumed == 7);
}

TEST_CASE("chunk extensions are ignored", "[http]") {
    const std::string text =
        GENERATE("1;a\r\nx\r\n2;b=c\r\nyz\r\n0;d=\"e;\\\"\xc3 f\"\r\n\r\n",
                 "1 ; a\t=\t b\r\nx\r\n2;a;b;c=d ;e=\"\"\r\nyz\r\n0;a\r\n\r\n");
    for (size_t cut = 0; cut <= text.size(); ++cut) {
        INFO(text << " cut at " << cut);
        const Decoded d = decode(kChunked, text, cut);
        CHECK(textOf(d.flaw) == textOf(Flaw::none));
        CHECK(d.payload == "xyz");
    }
}

TEST_CASE("chunk extensions are bounded by what payload comes with them", "[http]") {
    const std::string extension = ";a=" + std::string(97, 'x') + "\r\n";
    const auto chunks = [&](const std::string& size, size_t bytes, int count) {
        std::string text;
        for (int i = 0; i < count; ++i) text += size + extension + std::string(bytes, 'p') + "\r\n";
        return text + "0\r\n\r\n";
    };
    CHECK(decode(kChunked, chunks("64", 100, 1000), 0).flaw == Flaw::none);
    CHECK(decode(kChunked, chunks("1", 1, 80), 0).flaw == Flaw::none);
    CHECK(decode(kChunked, chunks("1", 1, 90), 0).flaw == Flaw::bad_chunk_extension);
}

TEST_CASE("bad chunks are refused wherever they are cut", "[http]") {
    struct Bad {
        std::string text;
        Flaw flaw;
    };
    const auto [text, flaw] = GENERATE(values<Bad>({
        {"\r\n", Flaw::bad_chunk_size},
        {"g\r\n", Flaw::bad_chunk_size},
        {"-1\r\n", Flaw::bad_chunk_size},
        {"0x1\r\n", Flaw::bad_chunk_size},
        {" 1\r\n", Flaw::bad_chunk_size},
        {"1\n", Flaw::bad_chunk_size},
        {"1\rx", Flaw::bad_chunk_size},
        {"1 \r\n", Flaw::bad_chunk_extension},
        {"1;\r\n", Flaw::bad_chunk_extension},
        {"1;a=\r\n", Flaw::bad_chunk_extension},
        {"1;a \r\n", Flaw::bad_chunk_extension},
        {"1;a b\r\n", Flaw::bad_chunk_extension},
        {"1;a=\"b\r\n", Flaw::bad_chunk_extension},
        {"1;a=\"b\\\r\n", Flaw::bad_chunk_extension},
        {"1;a=\"b\"c\r\n", Flaw::bad_chunk_extension},
        {"1;a=b\n", Flaw::bad_chunk_extension},
        {"1;a=b\rx", Flaw::bad_chunk_size},
        {"1;\x01\r\n", Flaw::bad_chunk_extension},
        {"0;a=" + std::string(8190, 'x'), Flaw::bad_chunk_extension},
        {"8000000000000000\r\n", Flaw::chunk_too_large},
        {"10000000000000000\r\n", Flaw::chunk_too_large},
        {"00000000000000001\r\n", Flaw::chunk_too_large},
        {"1\r\nab", Flaw::bad_chunk_end},
        {"1\r\na\n", Flaw::bad_chunk_end},
        {"1\r\na\rx", Flaw::bad_chunk_end},
        {"0\r\nX\r\n\r\n", Flaw::bad_trailer},
        {"0\r\nContent-Length: 5\r\n\r\n", Flaw::bad_trailer},
        {"0\r\nHost: a\r\n\r\n", Flaw::bad_trailer},
        {"0\r\nX: 1\n\r\n", Flaw::bare_lf},
        {"0\r\n\n", Flaw::bare_lf},
        {"0\r\nX: " + std::string(9000, 'x'), Flaw::trailers_too_large},
        {"0\r\n" + lines(129) + "\r\n", Flaw::trailers_too_large},
    }));
    for (size_t cut = 0; cut <= std::min<size_t>(text.size(), 20); ++cut) {
        INFO(text << " cut at " << cut);
        CHECK(textOf(decode(kChunked, text, cut).flaw) == textOf(flaw));
    }
}

TEST_CASE("a refused body stays refused", "[http]") {
    BodyDecoder decoder(kChunked);
    CHECK(decoder.next("x").kind == BodyStep::Kind::error);
    CHECK(decoder.next("1\r\na\r\n").kind == BodyStep::Kind::error);
    CHECK_FALSE(decoder.finishedByClose());
}
