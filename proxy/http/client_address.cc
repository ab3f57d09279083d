#include "proxy/http/client_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace regrow::proxy {
namespace {

// No address of a unicast host begins with these bits, so that the two families never meet.
constexpr uint64_t kIpv4 = 0xffffffff00000000ULL;
constexpr uint64_t kUnix = 0xfffffffe00000000ULL;

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

uint64_t bigEndian(const uint8_t* bytes, size_t count) {
    uint64_t value = 0;
    for (size_t i = 0; i < count; ++i) value = value << 8U | bytes[i];
    return value;
}

// Nothing, or ":80".
bool isPort(std::string_view text) {
    if (text.empty()) return true;
    return text.size() > 1 && text.size() <= 6 && text[0] == ':' &&
           text.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

// Without port and brackets; empty when it is not of that form.
std::string_view hostOf(std::string_view text) {
    const bool bracketed = text.starts_with('[');
    const size_t colon = text.find(':');
    if (!bracketed && colon != text.npos && text.find(':', colon + 1) != text.npos) return text;
    const size_t end = std::min(bracketed ? text.find(']') : colon, text.size());
    if (bracketed && end == text.size()) return {};
    if (!isPort(text.substr(end + (bracketed ? 1 : 0)))) return {};
    return text.substr(bracketed ? 1 : 0, end - (bracketed ? 1 : 0));
}

}  // namespace

uint64_t clientKey(const Address& client) {
    if (client.family() == AF_INET) {
        const auto* in = reinterpret_cast<const sockaddr_in*>(client.sockaddrPtr());
        return kIpv4 | ntohl(in->sin_addr.s_addr);
    }
    if (client.family() != AF_INET6) return kUnix;
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(client.sockaddrPtr());
    const uint8_t* bytes = in6->sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) return kIpv4 | bigEndian(bytes + 12, 4);
    return bigEndian(bytes, 8);
}

std::optional<Address> parseNode(std::string_view text) {
    const std::string_view host = hostOf(text);
    std::array<char, INET6_ADDRSTRLEN> name{};
    if (host.empty() || host.size() >= name.size()) return std::nullopt;
    std::memcpy(name.data(), host.data(), host.size());
    sockaddr_in in{};
    in.sin_family = AF_INET;
    if (inet_pton(AF_INET, name.data(), &in.sin_addr) == 1)
        return Address::fromSockaddr(reinterpret_cast<const sockaddr*>(&in), sizeof in);
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    if (inet_pton(AF_INET6, name.data(), &in6.sin6_addr) == 1)
        return Address::fromSockaddr(reinterpret_cast<const sockaddr*>(&in6), sizeof in6);
    return std::nullopt;
}

std::optional<Address> forwardedClient(const http::FieldList& fields, const ProxyTrust& trust) {
    std::optional<Address> last;
    for (size_t i = fields.size(); i-- > 0;) {
        if (fields[i].id != http::FieldId::x_forwarded_for) continue;
        std::string_view list = fields[i].value();
        while (!list.empty()) {
            const size_t comma = list.rfind(',');
            const size_t begin = comma == std::string_view::npos ? 0 : comma + 1;
            const auto node = parseNode(trimmed(list.substr(begin)));
            if (!node) return std::nullopt;
            last = node;
            if (!trust.trusts(*node)) return last;
            list = list.substr(0, begin == 0 ? 0 : begin - 1);
        }
    }
    return last;
}

}  // namespace regrow::proxy
