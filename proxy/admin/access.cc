#include "proxy/admin/access.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <strings.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "base/file.h"
#include "base/log.h"

namespace regrow::admin {
namespace {

constexpr size_t kMinToken = 16;
constexpr size_t kMaxToken = 512;

bool equalsIgnoreCase(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool isIpLiteral(const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> scratch{};
    return ::inet_pton(AF_INET, host.c_str(), scratch.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), scratch.data()) == 1;
}

// "[::1]:9901" -> "::1", "localhost:9901" -> "localhost".
std::string hostOf(std::string_view authority) {
    if (authority.starts_with('['))
        return std::string(authority.substr(1, authority.find(']') - 1));
    return std::string(authority.substr(0, authority.rfind(':')));
}

// HTTP/1.0 tools send no Host; browsers, which this guards against, always do.
bool hostAllowed(std::string_view authority, const AccessRules& rules) {
    if (authority.empty() || equalsIgnoreCase(authority, rules.listen)) return true;
    const std::string host = hostOf(authority);
    return isIpLiteral(host) || equalsIgnoreCase(host, "localhost") || host.ends_with(".localhost");
}

bool fromBrowser(const Request& r) {
    return !r.header("Origin").empty() || !r.header("Sec-Fetch-Site").empty() ||
           !r.header("Referer").empty() || r.header("User-Agent").starts_with("Mozilla/");
}

bool sameOrigin(const Request& r) {
    const auto origin = r.header("Origin");
    const auto site = r.header("Sec-Fetch-Site");
    if (!site.empty() && site != "same-origin" && site != "none") return false;
    if (origin.empty()) return true;
    return equalsIgnoreCase(origin, fmt::format("http://{}", r.header("Host")));
}

bool hasToken(const Request& r, const AccessRules& rules) {
    constexpr std::string_view kScheme = "Bearer ";
    const auto given = r.header("Authorization");
    if (rules.token.empty() || given.size() < kScheme.size()) return false;
    return equalsIgnoreCase(given.substr(0, kScheme.size()), kScheme) &&
           sameSecret(given.substr(kScheme.size()), rules.token);
}

Reply needsToken(const Request& r) {
    Reply reply = Reply::error(401,
                               r.header("Authorization").empty()
                                   ? "this needs the admin token: send 'Authorization: Bearer "
                                     "TOKEN' (the content of admin.token_file)"
                                   : "the token is not the one in admin.token_file",
                               "permission");
    reply.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"regrow\"");
    return reply;
}

void warnIfReadableByAll(const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) == 0 && (info.st_mode & 0007) != 0)
        log::warn("admin", "token file {} is open to every user of this machine; chmod 600 it",
                  path);
}

}  // namespace

std::optional<Reply> refuse(const Request& request, const AccessRules& rules) {
    const bool authorized = hasToken(request, rules);
    if (!authorized && rules.loopback && !hostAllowed(request.header("Host"), rules))
        return Reply::error(403,
                            fmt::format("Host '{}' is not this endpoint's: use its IP address or "
                                        "localhost, or send the token",
                                        request.header("Host")),
                            "permission");
    if (request.changes() && !sameOrigin(request))
        return Reply::error(403, "a page of another origin may not change anything here",
                            "permission");
    if (!authorized && (!rules.loopback || (request.changes() && !rules.token.empty())))
        return needsToken(request);
    if (request.changes() && !authorized && fromBrowser(request) &&
        request.header(kCsrfHeader).empty())
        return Reply::error(403,
                            fmt::format("a browser's request needs the header {}: 1", kCsrfHeader),
                            "permission");
    return std::nullopt;
}

Result<AccessRules> loadAccessRules(const Address& listen, const std::string& token_file) {
    AccessRules rules{.token = {}, .loopback = listen.isLoopback(), .listen = listen.text()};
    if (token_file.empty()) {
        if (rules.loopback) return rules;
        return fail(
            Code::refused, Source::config,
            fmt::format(
                "admin.listen {} can be reached from other machines and needs admin.token_file "
                "(or listen on 127.0.0.1 or unix:/path)",
                rules.listen));
    }
    REGROW_TRY(rules.token, readToken(token_file));
    return rules;
}

Result<std::string> readToken(const std::string& path) {
    auto content = readFile(path, size_t{64} << 10);
    if (!content) return std::unexpected(std::move(content).error().in("admin.token_file"));
    warnIfReadableByAll(path);
    std::string_view token = *content;
    token = token.substr(0, token.find_first_of("\r\n"));
    const bool printable = std::ranges::all_of(token, [](char c) { return c > 0x20 && c < 0x7f; });
    if (token.size() >= kMinToken && token.size() <= kMaxToken && printable)
        return std::string(token);
    return fail(Code::invalid, Source::config,
                fmt::format("admin.token_file {}: its first line must be {} to {} printable "
                            "characters without spaces; "
                            "make one with: openssl rand -hex 32 > {}",
                            path, kMinToken, kMaxToken, path));
}

// Hashes first, so that neither the position of a difference nor the token's length shows in the
// time taken.
bool sameSecret(std::string_view given, std::string_view expected) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> a{};
    std::array<unsigned char, SHA256_DIGEST_LENGTH> b{};
    SHA256(reinterpret_cast<const unsigned char*>(given.data()), given.size(), a.data());
    SHA256(reinterpret_cast<const unsigned char*>(expected.data()), expected.size(), b.data());
    return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace regrow::admin
