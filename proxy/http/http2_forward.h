#pragma once

#include <charconv>
#include <optional>
#include <string_view>

#include "base/http/chars.h"
#include "base/http/head.h"

namespace regrow::proxy {

// A request as writeRequestHead() wrote it, said once more in HTTP/2's words (RFC 9113 8.3.1): what
// is stored to be sent again is HTTP/1's text whatever the backend speaks. `text` may go on after
// the head. `take(name, value)` for each field; what belongs to an HTTP/1 connection is left out.
// An Upgrade to a WebSocket becomes the extended CONNECT of RFC 8441; any other is left out, as a
// server may ignore one (RFC 9110 7.8).
struct Http2Forward {
    size_t bytes = 0;                     // of the head, its empty line included
    http::Body body;                      // as framed in what follows it; `tunnel` for a WebSocket
    std::string_view websocket_key = {};  // what its client gave
};

// Upgrade is written last but for Connection, and only when it was asked for properly.
inline bool asksForWebSocket(std::string_view text) {
    constexpr std::string_view kUpgrade = "\r\nUpgrade: ", kWebSocket = "websocket\r\n";
    const size_t end = text.find("\r\n\r\n");
    const size_t at = text.substr(0, end).rfind(kUpgrade);
    return at != std::string_view::npos &&
           http::equalsIgnoringCase(text.substr(at + kUpgrade.size(), kWebSocket.size()),
                                    kWebSocket);
}

template <class Take>
void takeHttp2Field(std::string_view line, Http2Forward& forward, Take& take) {
    const size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon), value = line.substr(colon + 2);
    switch (http::fieldIdOf(name)) {
        case http::FieldId::host:
        case http::FieldId::connection:
        case http::FieldId::upgrade: return;
        case http::FieldId::other:
            if (forward.body.kind != http::BodyKind::tunnel ||
                !http::equalsIgnoringCase(name, "sec-websocket-key"))
                break;
            forward.websocket_key = value;
            return;
        case http::FieldId::transfer_encoding: forward.body.kind = http::BodyKind::chunked; return;
        case http::FieldId::content_length:
            std::from_chars(value.data(), value.data() + value.size(), forward.body.length);
            if (forward.body.length > 0) forward.body.kind = http::BodyKind::length;
            break;
        default: break;
    }
    take(name, value);
}

template <class Take>
Http2Forward visitHttp2Request(std::string_view text, std::string_view scheme, Take&& take) {
    constexpr std::string_view kLineEnd = "\r\n";
    const size_t first_end = text.find(kLineEnd);
    const std::string_view first = text.substr(0, first_end);
    const size_t method_end = first.find(' '), target_end = first.rfind(' ');
    const size_t host = text.find("\r\nHost: ") + 8;
    Http2Forward forward;
    if (asksForWebSocket(text)) forward.body.kind = http::BodyKind::tunnel;
    const bool tunnel = forward.body.kind == http::BodyKind::tunnel;
    take(":method", tunnel ? "CONNECT" : first.substr(0, method_end));
    if (tunnel) take(":protocol", "websocket");
    take(":scheme", scheme);
    take(":authority", text.substr(host, text.find(kLineEnd, host) - host));
    take(":path", first.substr(method_end + 1, target_end - method_end - 1));

    size_t at = first_end + kLineEnd.size();
    for (size_t end; (end = text.find(kLineEnd, at)) != at; at = end + kLineEnd.size())
        takeHttp2Field(text.substr(at, end - at), forward, take);
    forward.bytes = at + kLineEnd.size();
    return forward;
}

}  // namespace regrow::proxy
