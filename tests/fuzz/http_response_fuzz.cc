#include <cstdlib>
#include <string>

#include "base/http/parser.h"
#include "proxy/http/forward.h"
#include "tests/support/http_reference.h"
#include "tests/support/http_text.h"

// A response head: accepted exactly when the reference accepts it, framed the same, and what is
// written for the client reads back with the framing that was announced.
namespace {

using namespace regrow;

void require(bool condition) {
    if (!condition) std::abort();
}

void checkWritten(const http::ResponseHead& head, http::Method method) {
    static char buffer[64 * 1024];
    proxy::HeadWriter out(buffer, sizeof(buffer));
    proxy::ResponseForward how;
    how.method = method;
    proxy::writeResponseHead(out, head, how);
    require(!out.full());
    http::ResponseHead again;
    const http::ParseResult r = test::parseWhole(out.text(), again);
    if (r.flaw == http::Flaw::too_many_fields) return;
    require(r.outcome == http::Outcome::done && r.bytes == out.size() &&
            again.status == head.status);
    require(again.bodyFor(method) == proxy::downstreamBody(head, method, http::Version::http11));
}

std::string framingOf(const http::Body& body) {
    switch (body.kind) {
        case http::BodyKind::none: return "none";
        case http::BodyKind::length: return std::to_string(body.length);
        case http::BodyKind::chunked: return "chunked";
        case http::BodyKind::until_close: return "close";
        case http::BodyKind::tunnel: return "tunnel";
    }
    return "";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0 || size > 4096) return 0;
    const bool asked_head = data[0] % 4 == 0;
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const http::Method method = asked_head ? http::Method::head : http::Method::get;
    http::ResponseHead head;
    const http::ParseResult r = test::parseWhole(text, head);
    const auto expected = reference::readResponse(text, asked_head ? "HEAD" : "GET");
    require((r.outcome == http::Outcome::done) == expected.has_value());
    if (!expected) return 0;
    const std::string framing = framingOf(head.bodyFor(method));
    require(framing == (expected->framing == "0" ? "none" : expected->framing));
    require(head.keep_alive == expected->keep_alive && r.bytes == expected->bytes);
    checkWritten(head, method);
    return 0;
}
