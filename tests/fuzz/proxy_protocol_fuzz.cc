#include <cstdlib>
#include <string>

#include "base/proxy_protocol.h"

// Any bytes: read at once and piece by piece to the same end, within the bounds, whatever follows;
// and what was understood reads back the same when written again.
namespace {

using namespace regrow;
using Outcome = ProxyParse::Outcome;

void require(bool condition) {
    if (!condition) std::abort();
}

bool same(const ClientEnds& a, const ClientEnds& b) {
    return a.source.text() == b.source.text() && a.destination.text() == b.destination.text();
}

void requireSameInPieces(std::string_view text, ProxyAccepts accepts, const ProxyParse& whole) {
    for (size_t n = 0; n <= text.size(); ++n) {
        ProxyHeader header;
        const ProxyParse part = parseProxyHeader(text.substr(0, n), accepts, header);
        if (part.outcome == Outcome::need_more) continue;
        require(part.outcome == whole.outcome && part.bytes == whole.bytes &&
                part.flaw == whole.flaw && part.bytes <= n);
        return;
    }
    require(whole.outcome == Outcome::need_more);
}

void requireWritable(const ProxyHeader& header) {
    char out[kProxyHeaderRoom];
    for (const auto version : {ProxyVersion::v1, ProxyVersion::v2}) {
        const size_t size = writeProxyHeader(version, header.ends, out);
        require(size <= sizeof out);
        ProxyHeader again;
        const auto result = parseProxyHeader({out, size}, ProxyAccepts::any, again);
        require(result.outcome == Outcome::done && result.bytes == size);
        if (again.relayed) require(same(header.ends, again.ends));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0 || size > 5000) return 0;
    const auto accepts = static_cast<ProxyAccepts>(data[0] % 3);
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    ProxyHeader header;
    const ProxyParse whole = parseProxyHeader(text, accepts, header);
    if (whole.outcome == Outcome::need_more) require(text.size() < kProxyV2Most);
    requireSameInPieces(text, accepts, whole);
    if (whole.outcome == Outcome::done && header.relayed) requireWritable(header);
    return 0;
}
