#include <algorithm>
#include <cstdlib>
#include <string>

#include "proxy/serve/body_relay.h"
#include "tests/support/body_dialogue.h"
#include "tests/support/http_reference.h"

// A body on its way through: received in pieces, in any framing, sent in any other. What the
// receiver gets is what a plain reading makes of the whole, framed so that both readings agree on
// its end, or the sender is refused.
namespace {

using namespace regrow;

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 3 || size > 20'000) return 0;
    test::BodyDialogue how;
    how.in = test::framingOf(data[0], data[1]);
    how.chunk_out = (data[0] & 8) != 0;
    how.pass_trailers = (data[0] & 16) != 0;
    how.piece = size_t{data[2]} + 1;
    const std::string text(reinterpret_cast<const char*>(data) + 3, size - 3);
    const test::BodyOutcome got = test::relayed(text, how);
    const test::BodyOutcome expected = test::expectedOf(text, how);
    require(got.whole == expected.whole);
    if (!expected.whole) return 0;
    require(got.payload == expected.payload && got.trailers == expected.trailers);
    require(got.left == expected.left);
    return 0;
}
