#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstring>

#include "base/http/chars.h"
#include "base/http/lines.h"

// Targets and hosts. Paths are routed and forwarded raw, the same bytes, so what could be read in
// two ways is refused:
//  - a segment that means "." or "..", however it is spelled: dots raw or as %2e; bounded by '/',
//  %2f, %5c or ';'
//    (some servers decode, some strip parameters). Clients resolve these before they send (RFC
//    3986 5.2.4), so nobody honest is refused; an attacker would be routed by one reading and
//    served by the other.
//  - %00, a '%' without two hexadecimal digits, and a raw backslash.
// %2f and %5c as such are fine: CalDAV servers and wikis have them in names.
namespace regrow::http {
namespace {

// Length of the spelling of `c` at the front of `text`: 1 raw, 3 percent-encoded, 0 when something
// else is there.
size_t spelled(std::string_view text, char c) {
    if (text.empty()) return 0;
    if (text[0] == c) return 1;
    return percentByte(text) == c ? 3 : 0;
}

size_t spelledSeparator(std::string_view text) {
    if (const size_t n = spelled(text, '/')) return n;
    return spelled(text, '\\');
}

// Whether the segment that starts here is a dot-segment.
bool isDotSegment(std::string_view rest) {
    int dots = 0;
    while (const size_t n = spelled(rest, '.')) rest.remove_prefix(n), ++dots;
    const bool ends = rest.empty() || spelledSeparator(rest) != 0 || spelled(rest, ';') != 0;
    return ends && (dots == 1 || dots == 2);
}

bool isAmbiguous(std::string_view path) {
    while (!path.empty()) {
        if (path[0] == '%' && percentByte(path) <= 0) return true;
        const size_t separator = spelledSeparator(path);
        path.remove_prefix(separator != 0 ? separator : 1);
        if (separator != 0 && isDotSegment(path)) return true;
    }
    return false;
}

Flaw readPathAndQuery(std::string_view text, RequestHead& head) {
    size_t i = 0;
    uint8_t seen = 0;
    for (; i < text.size() && is(text[i], kPathChar); ++i) seen |= classes(text[i]);
    if (i < text.size() && text[i] != '?')
        return text[i] == '\\' ? Flaw::bad_path : Flaw::bad_target;
    head.path = text.substr(0, i);
    head.query = text.substr(i);
    if (!head.query.empty() && !all(head.query, kQueryChar)) return Flaw::bad_target;
    return (seen & kPathWatch) != 0 && isAmbiguous(head.path) ? Flaw::bad_path : Flaw::none;
}

size_t schemeLength(std::string_view target) {
    for (const std::string_view scheme :
         {std::string_view("http://"), std::string_view("https://")})
        if (equalsIgnoringCase(target.substr(0, scheme.size()), scheme)) return scheme.size();
    return 0;
}

Flaw readAbsoluteForm(RequestHead& head) {
    const size_t scheme = schemeLength(head.target);
    if (scheme == 0) return Flaw::bad_target;
    head.form = TargetForm::absolute;
    const size_t end = std::min(head.target.find_first_of("/?", scheme), head.target.size());
    head.authority = head.target.substr(scheme, end - scheme);
    if (const Flaw flaw = readAuthority(head.authority, head.host, head.port); flaw != Flaw::none)
        return flaw;
    if (const Flaw flaw = readPathAndQuery(head.target.substr(end), head); flaw != Flaw::none)
        return flaw;
    // An empty path is "/" (RFC 9110 4.2.3). The scheme's own slash serves, so that every view
    // stays in the buffer.
    if (head.path.empty()) head.path = head.target.substr(scheme - 1, 1);
    return Flaw::none;
}

Flaw readAuthorityForm(RequestHead& head) {
    head.form = TargetForm::authority;
    head.authority = head.target;
    if (const Flaw flaw = readAuthority(head.authority, head.host, head.port); flaw != Flaw::none)
        return flaw;
    return head.port == 0 ? Flaw::bad_target : Flaw::none;
}

bool isIpv6(std::string_view text) {
    std::array<char, INET6_ADDRSTRLEN> copy{};
    if (text.empty() || text.size() >= copy.size()) return false;
    std::memcpy(copy.data(), text.data(), text.size());
    in6_addr address;
    return inet_pton(AF_INET6, copy.data(), &address) == 1;
}

bool readPort(std::string_view text, uint16_t& port) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port != 0 &&
           text.size() <= 5;
}

}  // namespace

bool isPath(std::string_view text) {
    return text.starts_with('/') && all(text, kPathChar) && !isAmbiguous(text);
}

Flaw readAuthority(std::string_view text, std::string_view& host, uint16_t& port) {
    const bool bracketed = text.starts_with('[');
    const size_t end = bracketed ? text.find(']') + 1 : std::min(text.find(':'), text.size());
    if (bracketed && end == 0) return Flaw::bad_host;
    host = text.substr(0, end);
    const bool valid =
        bracketed ? isIpv6(host.substr(1, end - 2)) : host.size() <= 255 && all(host, kHostChar);
    if (!valid) return Flaw::bad_host;
    port = 0;
    if (end == text.size()) return Flaw::none;
    return text[end] == ':' && readPort(text.substr(end + 1), port) ? Flaw::none : Flaw::bad_host;
}

Flaw readTarget(RequestHead& head) {
    if (head.target.empty()) return Flaw::bad_target;
    if (head.method == Method::connect) return readAuthorityForm(head);
    if (head.target.front() == '/') {
        head.form = TargetForm::origin;
        return readPathAndQuery(head.target, head);
    }
    if (head.target == "*") {
        head.form = TargetForm::asterisk;
        head.path = head.target;
        return head.method == Method::options ? Flaw::none : Flaw::bad_target;
    }
    return readAbsoluteForm(head);
}

}  // namespace regrow::http
