#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/http/parser.h"
#include "base/http/redirect_template.h"
#include "proxy/balance/path_text.h"
#include "proxy/balance/router.h"
#include "proxy/http/location.h"
#include "tests/support/http_reference.h"
#include "tests/support/http_text.h"

// Targets, from the request line to the backend. A path that is taken has one meaning: routed as
// the first rule that a plain reading finds, however its letters are spelled; and what a rewrite or
// a redirect makes of it is a path below its prefix, whoever decodes and resolves it.
namespace {

using namespace regrow;

constexpr std::string_view kHost = "a.example";

void require(bool condition) {
    if (!condition) std::abort();
}

const std::vector<RouteRule>& rules() {
    static const std::vector<RouteRule> all = {
        {.path = "/app/"},      {.path = "/app/deep/er", .exact = true},
        {.path = "/caf%C3%A9"}, {.path = "/a%2Fb"},
        {.path = "/~u"},        {.path = "/ap"},
        {.path = "/"}};
    return all;
}

// What the URI says, with the unreserved characters (and only them) decoded.
std::string plainOf(const std::string& path) {
    const std::string unreserved = reference::kAlnum + "-._~";
    std::string out;
    for (size_t i = 0; i < path.size(); ++i) {
        const std::string spelled = path.substr(i, 3);
        const bool encoded = spelled.size() == 3 && spelled[0] == '%' &&
                             reference::consistsOf(spelled.substr(1), "0123456789abcdefABCDEF");
        const std::string meant = encoded ? reference::decoded(spelled) : "";
        if (encoded && unreserved.find(meant) != std::string::npos)
            out += meant, i += 2;
        else
            out += path[i];
    }
    return out;
}

size_t plainRoute(const std::string& path) {
    const std::string plain = plainOf(path == "*" ? "/" : path);
    for (size_t i = 0; i < rules().size(); ++i) {
        const std::string wanted = plainOf(rules()[i].path);
        if (rules()[i].exact ? plain == wanted : plain.starts_with(wanted)) return i;
    }
    return SIZE_MAX;
}

// Every letter spelled as its byte, where `which` has a bit.
std::string respelled(std::string_view path, unsigned which) {
    std::string out;
    for (size_t i = 0; i < path.size(); ++i) {
        if (path[i] == '%' && i + 2 < path.size()) {
            out += path.substr(i, 3), i += 2;
        } else if (http::is(path[i], http::kUnreserved) && (which >> (i % 8) & 1U) != 0) {
            constexpr std::string_view kHex = "0123456789ABCDEF";
            const auto byte = static_cast<unsigned char>(path[i]);
            out += '%', out += kHex[byte >> 4U], out += kHex[byte & 15U];
        } else {
            out += path[i];
        }
    }
    return out;
}

// As the most forgiving server would: decoded, with either slash, parameters cut off.
bool climbs(const std::string& path) {
    std::string segment;
    for (const char c : reference::decoded(path) + "/") {
        if (c != '/' && c != '\\') {
            segment += c;
            continue;
        }
        segment = segment.substr(0, segment.find(';'));
        if (segment == "." || segment == "..") return true;
        segment.clear();
    }
    return false;
}

http::ParseResult parsed(const std::string& target, http::RequestHead& head, std::string& text) {
    text = "GET " + target + " HTTP/1.1\r\nHost: " + std::string(kHost) + "\r\n\r\n";
    return test::parseWhole(text, head);
}

void checkRewrite(const RouteRule& rule, std::string_view path) {
    if (rule.exact || !rule.path.ends_with('/')) return;
    const std::string rewritten = "/new/" + std::string(restAfter(canonicalPath(rule.path), path));
    require(!climbs(rewritten));
    http::RequestHead head;
    std::string text;
    require(parsed(rewritten, head, text).outcome == http::Outcome::done);
    require(head.path == rewritten);
}

void checkRedirects(const RouteRule& rule, const http::RequestHead& head) {
    static const std::array<proxy::Location, 3> locations = {
        proxy::Location(*http::parseRedirect("https://{host}{path}{query}")),
        proxy::Location(*http::parseRedirect("{scheme}://b.example/x/{rest}{query}")),
        proxy::Location(*http::parseRedirect("/below/{rest}"))};
    constexpr std::array<std::string_view, 3> kBegin = {"https://a.example/", "http://b.example/x/",
                                                        "/below/"};
    for (size_t i = 0; i < locations.size(); ++i) {
        std::array<char, 32 * 1024> room;
        proxy::HeadWriter out(room.data(), room.size());
        require(locations[i].write(out, {.scheme = "http",
                                         .host = head.host,
                                         .path = head.path,
                                         .rest = restAfter(canonicalPath(rule.path), head.path),
                                         .query = head.query}));
        require(!out.full() && out.text().starts_with(kBegin[i]));
        for (const char c : out.text()) require(c > 0x20 && c < 0x7f);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0 || size > 4096) return 0;
    static const Router router(rules());
    const std::string target(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (target.find_first_of(" \r\n") != std::string::npos) return 0;  // it would be another line
    http::RequestHead head;
    std::string text;
    const bool taken = parsed(target, head, text).outcome == http::Outcome::done;
    require(taken == reference::readRequest(text).has_value());
    if (!taken || head.path == "*") return 0;
    require(!climbs(std::string(head.path)));
    require(canonicalPath(head.path) == plainOf(std::string(head.path)));
    const auto route = router.route(head);
    require(route.has_value() && *route == plainRoute(std::string(head.path)));

    const std::string other = respelled(head.path, data[0]);
    http::RequestHead again;
    std::string other_text;
    require(parsed(other, again, other_text).outcome == http::Outcome::done);
    require(router.route(again) == route && canonicalPath(other) == canonicalPath(head.path));
    checkRewrite(rules()[*route], head.path);
    checkRedirects(rules()[*route], head);
    return 0;
}
