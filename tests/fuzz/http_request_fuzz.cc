#include <cstdlib>
#include <string>

#include "base/http/parser.h"
#include "proxy/http/forward.h"
#include "tests/support/http_reference.h"
#include "tests/support/http_text.h"

// A request head: the same reading in one piece and split; accepted exactly when the reference
// accepts it; and what is written for the backend is itself a head that both accept, with the same
// framing and path.
namespace {

using namespace regrow;

void require(bool condition) {
    if (!condition) std::abort();
}

void checkForwarded(const http::RequestHead& head) {
    static char buffer[256 * 1024];
    proxy::HeadWriter out(buffer, sizeof(buffer));
    proxy::RequestForward how;
    how.fallback_host = "backend";
    proxy::writeRequestHead(
        out, head, proxy::ClientIdentity(Address::loopback(1), false, proxy::ProxyTrust()), how);
    require(!out.full());
    http::RequestHead again;
    const http::ParseResult r = test::parseWhole(out.text(), again);
    if (r.flaw == http::Flaw::too_many_fields || r.flaw == http::Flaw::head_too_large) return;
    require(r.outcome == http::Outcome::done && r.bytes == out.size());
    require(again.body == head.body && again.path == head.path && again.query == head.query);
    require(reference::readRequest(std::string(out.text())).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > 4096)
        return 0;  // the limits are for the unit tests; the reference does not have them
    const std::string text(reinterpret_cast<const char*>(data), size);
    http::RequestHead head;
    const http::ParseResult whole = test::parseWhole(text, head);
    const bool done = whole.outcome == http::Outcome::done;
    require(done == reference::readRequest(text).has_value());

    http::RequestHead split;
    std::string storage;
    const size_t cut = size == 0 ? 0 : data[size / 2] % size;
    const std::array<size_t, 2> ends = {cut, size};
    const http::ParseResult pieces = test::parseInPieces(text, ends, split, storage);
    require(pieces.outcome == whole.outcome && pieces.flaw == whole.flaw &&
            pieces.bytes == whole.bytes);
    if (!done) return 0;
    require(test::describe(split) == test::describe(head));
    // CONNECT is refused before anything is forwarded.
    if (head.method != http::Method::connect) checkForwarded(head);
    return 0;
}
