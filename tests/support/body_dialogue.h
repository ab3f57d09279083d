#pragma once

#include <algorithm>
#include <string>

#include "proxy/serve/body_relay.h"
#include "tests/support/http_reference.h"

// A body through a relay, and what a plain reading of the same bytes says must come out.
namespace regrow::test {

struct BodyDialogue {
    http::Body in;
    bool chunk_out = false;
    bool pass_trailers = false;
    size_t piece = 1;  // bytes that arrive at a time; then the sender closes
};

struct BodyOutcome {
    bool whole = false;
    std::string payload, trailers;
    std::string left;  // of the sender's bytes: the next message
};

// `what` chooses the framing, `length` its length.
inline http::Body framingOf(uint8_t what, uint64_t length) {
    switch (what % 3) {
        case 0: return {http::BodyKind::chunked, 0};
        case 1: return {http::BodyKind::length, length + 1};
        default: return {http::BodyKind::until_close, 0};
    }
}

// What may not be said after the fact, written out from RFC 9110 6.5.1 and proxy/http/README.md.
inline bool passesAsTrailer(const std::string& name) {
    static const std::set<std::string> never = {"connection",
                                                "keep-alive",
                                                "proxy-connection",
                                                "proxy-authenticate",
                                                "te",
                                                "transfer-encoding",
                                                "upgrade",
                                                "proxy-authorization",
                                                "http2-settings",
                                                "host",
                                                "content-length",
                                                "expect",
                                                "trailer",
                                                "max-forwards",
                                                "authorization",
                                                "cookie",
                                                "set-cookie",
                                                "content-type",
                                                "content-encoding",
                                                "content-range",
                                                "via",
                                                "forwarded",
                                                "x-real-ip",
                                                "client-cert",
                                                "client-cert-chain",
                                                "proxy"};
    const std::string low = reference::lowered(name);
    const auto begins = [&](const std::string& with) {
        return low.size() > with.size() && low.starts_with(with);
    };
    return !never.contains(low) && !begins("x-forwarded-") && !begins("x-client-cert-") &&
           low.find('_') == std::string::npos;
}

inline std::string passingTrailers(const std::string& lines) {
    std::string out;
    for (size_t at = 0; at < lines.size();) {
        const size_t end = lines.find("\r\n", at) + 2;
        const std::string line = lines.substr(at, end - at);
        if (passesAsTrailer(line.substr(0, line.find(':')))) out += line;
        at = end;
    }
    return out;
}

inline BodyOutcome expectedOf(const std::string& text, const BodyDialogue& how) {
    if (how.in.kind == http::BodyKind::until_close) return {true, text, "", ""};
    if (how.in.kind == http::BodyKind::length) {
        if (text.size() < how.in.length) return {};
        return {true, text.substr(0, how.in.length), "", text.substr(how.in.length)};
    }
    const auto read = reference::readChunked(text);
    if (!read) return {};
    const std::string trailers = how.pass_trailers ? passingTrailers(read->trailers) : "";
    return {true, read->payload, trailers, text.substr(read->bytes)};
}

// What was sent, taken apart again as the receiver will.
inline void readSent(const std::string& sent, bool chunked, BodyOutcome& out) {
    if (!chunked) {
        out.payload = sent;
        return;
    }
    const auto read = reference::readChunked(sent);
    out.whole = out.whole && read && read->bytes == sent.size();
    if (!read) return;
    out.payload = read->payload;
    out.trailers = read->trailers;
}

inline BodyOutcome relayed(const std::string& text, const BodyDialogue& how) {
    const bool chunk_out = how.chunk_out && how.in.kind != http::BodyKind::length;
    serve::BufferPool pool;
    serve::Buffer in;
    serve::BodyRelay relay;
    relay.begin(how.in, chunk_out, how.pass_trailers);
    in.ensure(pool);
    std::string sent;
    size_t at = 0;
    const auto send = [&] {
        sent += relay.out();
        relay.sent(relay.out().size());
    };
    while (!relay.received() && at < text.size()) {
        if (in.empty()) in.rewind();
        const std::string piece = text.substr(at, how.piece);
        at += piece.size();
        in.append(piece);
        if (!relay.transform(in)) return {};
        send();
    }
    BodyOutcome out;
    out.left = std::string(in.view()) + text.substr(at);
    out.whole = relay.received() || (in.empty() && relay.closed(in));
    send();
    out.trailers = relay.trailers();
    readSent(sent, chunk_out, out);
    in.release(pool);
    return out;
}

}  // namespace regrow::test
