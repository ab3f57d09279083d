#include "proxy/serve/body_relay.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/support/body_dialogue.h"

using namespace regrow;
using namespace regrow::test;

namespace {

std::string someBytes(Random& random, size_t most) {
    std::string bytes(random.below(most + 1), ' ');
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    return bytes;
}

std::string someTrailers(Random& random) {
    static const std::vector<std::string> names = {
        "X-Sum", "Expires", "Content-Type", "x_sum", "Set-Cookie", "X-Forwarded-For", "A", "Via"};
    std::string lines;
    for (uint64_t n = random.below(5); n > 0; --n)
        lines += names[random.below(names.size())] + ": " + std::to_string(n) + "\r\n";
    return lines;
}

std::string chunked(Random& random, const std::string& payload, const std::string& trailers) {
    std::string out;
    for (size_t at = 0; at < payload.size();) {
        const size_t size = std::min(payload.size() - at, size_t{1} + random.below(300));
        char head[32];
        std::snprintf(head, sizeof head, random.below(2) == 0 ? "%zx\r\n" : "%04zX\r\n", size);
        out += head + payload.substr(at, size) + "\r\n";
        at += size;
    }
    return out + "0\r\n" + trailers + "\r\n";
}

// One slip of the pen, where the framing or the payload happens to be.
std::string spoiled(Random& random, std::string text) {
    static const std::vector<std::string> slips = {"\r\n",
                                                   "\n",
                                                   "\r",
                                                   " ",
                                                   ";x",
                                                   "0",
                                                   "-1",
                                                   "g",
                                                   "\t ",
                                                   "0\r\n\r\n",
                                                   std::string(1, '\0'),
                                                   "Host: a\r\n"};
    const size_t at = random.below(text.size() + 1);
    if (random.below(3) == 0) return text.substr(0, at);
    if (random.below(2) == 0) return text.erase(at, 1 + random.below(3));
    return text.insert(at, slips[random.below(slips.size())]);
}

}  // namespace

TEST_CASE("what leaves a relay is what a plain reading of the body says, however it arrives",
          "[serve]") {
    Random random(7);
    int whole = 0, refused = 0;
    for (int i = 0; i < 20'000; ++i) {
        BodyDialogue how;
        how.in = framingOf(static_cast<uint8_t>(random.below(3)), random.below(400));
        how.chunk_out = random.below(2) == 0;
        how.pass_trailers = random.below(2) == 0;
        how.piece = 1 + random.below(random.below(2) == 0 ? 8 : 2000);
        std::string text = someBytes(random, 500);
        if (how.in.kind == http::BodyKind::chunked)
            text = chunked(random, text, someTrailers(random)) + "GET / HTTP/1.1\r\n";
        if (random.below(3) == 0) text = spoiled(random, std::move(text));
        const BodyOutcome got = relayed(text, how), expected = expectedOf(text, how);
        INFO(text << "\nin pieces of " << how.piece);
        REQUIRE(got.whole == expected.whole);
        ++(got.whole ? whole : refused);
        if (!got.whole) continue;
        REQUIRE(got.payload == expected.payload);
        REQUIRE(got.trailers == expected.trailers);
        REQUIRE(got.left == expected.left);
    }
    CHECK(whole > 5'000);
    CHECK(refused > 1'000);
}

TEST_CASE("trailers that came without framing are framed, but for those that may not pass",
          "[serve]") {
    serve::BufferPool pool;
    serve::Buffer in;
    in.ensure(pool);
    serve::BodyRelay relay;
    relay.begin({http::BodyKind::until_close, 0}, true, true);
    in.append("hello");
    REQUIRE(relay.transform(in));
    std::string sent(relay.out());
    relay.sent(relay.out().size());
    REQUIRE(relay.closed(in, "x-sum: 1\r\nhost: b\r\nx-end: 2\r\n"));
    sent += relay.out();
    CHECK(sent == "5\r\nhello\r\n0\r\nx-sum: 1\r\nx-end: 2\r\n\r\n");
    in.release(pool);
}
