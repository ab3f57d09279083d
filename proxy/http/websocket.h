#pragma once

#include <array>
#include <string>
#include <string_view>

// The two fields with which a WebSocket's opening handshake is proved over HTTP/1 (RFC 6455 4), and
// which HTTP/2 does without (RFC 8441): whoever stands between the two makes them up.
namespace regrow::proxy {

inline constexpr std::string_view kWebSocketAccept = "Sec-WebSocket-Accept";
inline constexpr size_t kWebSocketKeySize = 24;

// 16 random bytes, encoded, and a zero.
std::array<char, kWebSocketKeySize + 1> newWebSocketKey();
// What proves that the other side read the key and speaks WebSocket.
std::string webSocketAccept(std::string_view key);

}  // namespace regrow::proxy
