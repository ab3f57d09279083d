#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/result.h"
#include "proxy/admin/message.h"

// Who may ask what. Pure; any thread.
//
// Three dangers, three answers:
// - A stranger on the network: off loopback everything needs the token, on loopback and unix
// sockets every change does
//   when a token is configured.
// - A web page the operator visits, posting to localhost (CSRF): whatever carries a sign of a
// browser may change
//   something only with our own header or the token, and from our own origin. Neither can be sent
//   cross-site without a preflight, which is never answered. Plain tools (curl) carry no such sign
//   and need nothing extra.
// - The same page after rebinding its name to 127.0.0.1: Host must be an IP literal, localhost or
// what the endpoint
//   listens on. Requests with the token are exempt: a rebound page cannot know it.
namespace regrow::admin {

struct AccessRules {
    std::string token;     // empty: none configured
    bool loopback = true;  // or a unix socket
    std::string listen;    // as configured; its host is accepted in Host
};

constexpr std::string_view kCsrfHeader = "X-Regrow-Request";

// The refusal, or nothing when `request` may go on.
std::optional<Reply> refuse(const Request& request, const AccessRules& rules);

// Rules for an endpoint: reads the token. Refuses to serve beyond loopback without one.
Result<AccessRules> loadAccessRules(const Address& listen, const std::string& token_file);

// The first line of a token file, trimmed; 16 to 512 printable bytes.
Result<std::string> readToken(const std::string& path);

// In time that depends on the length of `given` alone.
bool sameSecret(std::string_view given, std::string_view expected);

}  // namespace regrow::admin
