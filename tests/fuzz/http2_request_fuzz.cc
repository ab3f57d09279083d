#include <cstdlib>
#include <string>
#include <vector>

#include "proxy/http/forward.h"
#include "proxy/http/http2_request.h"
#include "tests/support/http_text.h"

// Lines of "name TAB value", as nghttp2 would hand them over (it refuses what is no token, and
// control bytes in values). What is taken for a request goes to the backend as a head that the
// HTTP/1 parser reads alike: nothing in a field may become a line of its own.
namespace {

using namespace regrow;

constexpr std::string_view kKey = "AQIDBAUGBwgJCgsMDQ4PEA==";

void require(bool condition) {
    if (!condition) std::abort();
}

bool wellFormed(std::string_view name, std::string_view value) {
    for (const char c : name.substr(name.starts_with(':') ? 1 : 0))
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    for (const char c : value)
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) return false;
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    return name.size() > (name.starts_with(':') ? 1u : 0u) && name != "connection" &&
           name != "transfer-encoding" && name != "upgrade" &&
           (name != "te" || value == "trailers") &&
           (value.empty() || (!blank(value.front()) && !blank(value.back())));
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
    require(again.method_text == head.method_text && again.authority == head.authority);
    require(again.upgrade == head.upgrade);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const bool ended = (data[0] & 1) != 0;
    const size_t room = (data[0] & 2) != 0 ? 16 * 1024 : data[1];
    std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
    std::vector<char> memory(room);
    http::RequestHead head;
    proxy::Http2Request request;
    request.begin(memory.data(), memory.size(), head);
    while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        const size_t tab = std::min(line.find('\t'), line.size());
        const std::string_view name = line.substr(0, tab);
        const std::string_view value = line.substr(std::min(line.size(), tab + 1));
        if (wellFormed(name, value)) request.add(name, value);
    }
    const auto key = request.extendedConnect() ? kKey : std::string_view();
    if (request.finish(ended, key) != http::Flaw::none) return 0;
    // Refused before anything is forwarded.
    if (head.method == http::Method::connect) return 0;
    if (request.extendedConnect() && request.protocol() != "websocket") return 0;
    checkForwarded(head);
    return 0;
}
