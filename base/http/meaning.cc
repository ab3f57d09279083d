#include "base/http/meaning.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/http/chars.h"
#include "base/http/lines.h"

namespace regrow::http {
namespace {

constexpr int kMaxConnectionTokens = 32;  // each is compared with every field: 32 bounds the work

struct ConnectionTokens {
    bool close = false;
    bool keep_alive = false;
    bool upgrade = false;
    bool te = false;
    int count = 0;
};

struct Framing {
    uint64_t length = 0;
    bool has_length = false;
    bool chunked = false;
};

// What Connection may name away: hop-by-hop fields (dropped anyway) and those we know nothing of.
// Never a field that frames, routes or authorises the message, nor those a trusted proxy speaks
// through (traefik CVE-2021-32813), nor one that is registered as end-to-end: without If-Match a
// conditional PUT would be none.
bool isEndToEnd(std::string_view name) {
    using namespace std::string_view_literals;
    constexpr std::array kFamilies = {
        "accept"sv, "access-control-"sv, "content-"sv, "cross-origin-"sv, "if-"sv,
        "sec-"sv,   "x-frame-"sv};
    constexpr std::array kNames = {"age"sv,
                                   "allow"sv,
                                   "alt-svc"sv,
                                   "authentication-info"sv,
                                   "cache-control"sv,
                                   "cookie"sv,
                                   "date"sv,
                                   "digest"sv,
                                   "dpop"sv,
                                   "etag"sv,
                                   "expires"sv,
                                   "from"sv,
                                   "last-modified"sv,
                                   "link"sv,
                                   "location"sv,
                                   "max-forwards"sv,
                                   "origin"sv,
                                   "permissions-policy"sv,
                                   "pragma"sv,
                                   "priority"sv,
                                   "range"sv,
                                   "referer"sv,
                                   "referrer-policy"sv,
                                   "refresh"sv,
                                   "retry-after"sv,
                                   "server"sv,
                                   "set-cookie"sv,
                                   "signature"sv,
                                   "signature-input"sv,
                                   "strict-transport-security"sv,
                                   "traceparent"sv,
                                   "tracestate"sv,
                                   "user-agent"sv,
                                   "vary"sv,
                                   "warning"sv,
                                   "www-authenticate"sv,
                                   "idempotency-key"sv,
                                   "x-content-type-options"sv};
    return std::ranges::any_of(kFamilies,
                               [&](std::string_view family) {
                                   return name.size() >= family.size() &&
                                          equalsIgnoringCase(name.substr(0, family.size()), family);
                               }) ||
           std::ranges::any_of(kNames,
                               [&](std::string_view one) { return equalsIgnoringCase(name, one); });
}

void dropNamed(FieldList& fields, std::string_view token) {
    if (isEndToEnd(token)) return;
    for (Field& f : fields)
        if (f.id == FieldId::other && equalsIgnoringCase(f.name(), token)) f.drop = true;
}

void takeToken(std::string_view token, ConnectionTokens& tokens, FieldList& fields) {
    if (equalsIgnoringCase(token, "close")) {
        tokens.close = true;
    } else if (equalsIgnoringCase(token, "keep-alive")) {
        tokens.keep_alive = true;
    } else if (equalsIgnoringCase(token, "upgrade")) {
        tokens.upgrade = true;
    } else if (equalsIgnoringCase(token, "te")) {
        tokens.te = true;
    } else {
        dropNamed(fields, token);
    }
}

Flaw readConnection(std::string_view list, ConnectionTokens& tokens, FieldList& fields) {
    std::string_view token;
    while (nextElement(list, token)) {
        if (++tokens.count > kMaxConnectionTokens) return Flaw::bad_connection;
        if (token.empty()) continue;
        if (!all(token, kToken)) return Flaw::bad_connection;
        takeToken(token, tokens, fields);
    }
    return Flaw::none;
}

// 1*DIGIT, no sign, no list, no leading zero (some readers take that for octal), below 2^63.
Flaw readLength(std::string_view value, Framing& framing) {
    if (framing.has_length) return Flaw::duplicate_content_length;
    framing.has_length = true;
    if (value.empty() || (value.size() > 1 && value.front() == '0'))
        return Flaw::bad_content_length;
    const char* const end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, framing.length);
    const bool plain = error == std::errc() && stop == end && framing.length <= kMaxBodyBytes;
    return plain ? Flaw::none : Flaw::bad_content_length;
}

Flaw readEncoding(std::string_view value, Framing& framing) {
    if (framing.chunked || !equalsIgnoringCase(value, "chunked"))
        return Flaw::bad_transfer_encoding;
    framing.chunked = true;
    return Flaw::none;
}

Flaw readFraming(const Field& f, Framing& framing) {
    if (f.id == FieldId::content_length) return readLength(f.value(), framing);
    if (f.id == FieldId::transfer_encoding) return readEncoding(f.value(), framing);
    return Flaw::none;
}

Flaw checkFraming(const Framing& framing, Version version) {
    if (framing.chunked && framing.has_length) return Flaw::length_and_encoding;
    if (framing.chunked && version == Version::http10) return Flaw::encoding_on_http10;
    return Flaw::none;
}

bool staysOpen(const ConnectionTokens& tokens, Version version) {
    return !tokens.close && (version != Version::http10 || tokens.keep_alive);
}

// One protocol, "name" or "name/version". A list is more than we hand on; h2c would let the backend
// be spoken to past us.
Flaw readUpgrade(std::string_view value, std::string_view& upgrade) {
    std::string_view rest = value, protocol;
    int count = 0;
    while (nextElement(rest, protocol)) {
        const size_t slash = std::min(protocol.find('/'), protocol.size());
        const std::string_view version = protocol.substr(std::min(slash + 1, protocol.size()));
        if (!all(protocol.substr(0, slash), kToken) ||
            (slash < protocol.size() && !all(version, kToken)))
            return Flaw::bad_upgrade;
        ++count;
    }
    if (count == 1 && upgrade.empty() && !equalsIgnoringCase(value, "h2c")) upgrade = value;
    return Flaw::none;
}

bool listHas(std::string_view list, std::string_view wanted) {
    std::string_view element;
    while (nextElement(list, element))
        if (equalsIgnoringCase(element, wanted)) return true;
    return false;
}

// Whether Host says what the target said: without regard to case, an unwritten port being the
// scheme's own.
bool sameAuthority(const RequestHead& head, std::string_view host, uint16_t port) {
    uint16_t usual = 0;
    if (head.form == TargetForm::absolute) usual = lower(head.target[4]) == 's' ? 443 : 80;
    const auto effective = [&](uint16_t p) { return p == 0 ? usual : p; };
    return equalsIgnoringCase(host, head.host) && effective(port) == effective(head.port);
}

Flaw readHost(const Field& field, RequestHead& head, bool& seen) {
    if (seen) return Flaw::duplicate_host;
    seen = true;
    std::string_view host;
    uint16_t port = 0;
    if (const Flaw flaw = readAuthority(field.value(), host, port); flaw != Flaw::none) return flaw;
    if (!head.authority.empty() && !sameAuthority(head, host, port)) return Flaw::host_mismatch;
    head.authority = field.value();
    head.host = host;
    head.port = port;
    return Flaw::none;
}

struct RequestTally {
    ConnectionTokens tokens;
    Framing framing;
    bool host = false;
    bool trailers = false;
};

Flaw takeRequestField(const Field& f, RequestHead& head, RequestTally& tally) {
    switch (f.id) {
        case FieldId::content_length:
        case FieldId::transfer_encoding: return readFraming(f, tally.framing);
        case FieldId::host: return readHost(f, head, tally.host);
        case FieldId::connection: return readConnection(f.value(), tally.tokens, head.fields);
        case FieldId::upgrade: return readUpgrade(f.value(), head.upgrade);
        case FieldId::te: tally.trailers |= listHas(f.value(), "trailers"); return Flaw::none;
        case FieldId::expect:
            head.expect_continue = true;
            return equalsIgnoringCase(f.value(), "100-continue") ? Flaw::none : Flaw::bad_expect;
        default: return Flaw::none;
    }
}

Body bodyOf(const Framing& framing) {
    if (framing.chunked) return {BodyKind::chunked, 0};
    return framing.length == 0 ? Body{} : Body{BodyKind::length, framing.length};
}

Flaw checkResponseFraming(const ResponseHead& head) {
    const bool bodiless = head.status < 200 || head.status == 204;
    if (bodiless && head.chunked) return Flaw::encoding_forbidden;
    if (bodiless && head.content_length != 0) return Flaw::body_forbidden;
    return Flaw::none;
}

}  // namespace

Flaw settleRequest(RequestHead& head) {
    RequestTally tally;
    for (const Field& f : head.fields)
        if (const Flaw flaw = takeRequestField(f, head, tally); flaw != Flaw::none) return flaw;
    const bool http11 = head.version == Version::http11;
    const bool http2 = head.version == Version::http2;
    if ((http11 && !tally.host) || (http2 && head.authority.empty())) return Flaw::missing_host;
    if (const Flaw flaw = checkFraming(tally.framing, head.version); flaw != Flaw::none)
        return flaw;

    head.body = bodyOf(tally.framing);
    head.has_content_length = tally.framing.has_length;
    head.keep_alive = staysOpen(tally.tokens, head.version);
    head.expect_continue =
        head.expect_continue && (http11 || http2) && head.body.kind != BodyKind::none;
    head.te_trailers = tally.trailers && (http2 || (tally.tokens.te && http11));
    if (!http11 || !tally.tokens.upgrade || head.body.kind != BodyKind::none) head.upgrade = {};
    return Flaw::none;
}

Flaw settleResponse(ResponseHead& head) {
    ConnectionTokens tokens;
    Framing framing;
    for (const Field& f : head.fields) {
        Flaw flaw = readFraming(f, framing);
        if (f.id == FieldId::connection) flaw = readConnection(f.value(), tokens, head.fields);
        if (f.id == FieldId::upgrade) flaw = readUpgrade(f.value(), head.upgrade);
        if (flaw != Flaw::none) return flaw;
    }
    if (const Flaw flaw = checkFraming(framing, head.version); flaw != Flaw::none) return flaw;
    head.chunked = framing.chunked;
    head.has_content_length = framing.has_length;
    head.content_length = framing.length;
    head.keep_alive = staysOpen(tokens, head.version);
    if (head.version == Version::http10 || !tokens.upgrade) head.upgrade = {};
    return checkResponseFraming(head);
}

}  // namespace regrow::http
