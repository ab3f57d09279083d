#include "proxy/http/trust.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace regrow::proxy {
namespace {

using Bytes = std::array<uint8_t, 16>;
constexpr int kMappedBits = 96;  // what ::ffff:0:0/96 puts before an IPv4 address

Bytes mapped(const void* ipv4) {
    Bytes bytes{};
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(bytes.data() + 12, ipv4, 4);
    return bytes;
}

std::optional<Bytes> bytesOf(const Address& peer) {
    Bytes bytes{};
    if (peer.family() == AF_INET) {
        return mapped(&reinterpret_cast<const sockaddr_in*>(peer.sockaddrPtr())->sin_addr);
    }
    if (peer.family() != AF_INET6) return std::nullopt;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(peer.sockaddrPtr())->sin6_addr,
                bytes.size());
    return bytes;
}

std::optional<Bytes> bytesOf(std::string_view text) {
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (text.size() >= terminated.size()) return std::nullopt;
    std::memcpy(terminated.data(), text.data(), text.size());
    in_addr ipv4;
    if (inet_pton(AF_INET, terminated.data(), &ipv4) == 1) return mapped(&ipv4);
    Bytes bytes{};
    if (inet_pton(AF_INET6, terminated.data(), bytes.data()) != 1) return std::nullopt;
    return bytes;
}

// Whether the first `bits` bits are the same.
bool samePrefix(const Bytes& a, const Bytes& b, int bits) {
    const auto whole = static_cast<size_t>(bits / 8);
    if (std::memcmp(a.data(), b.data(), whole) != 0) return false;
    const int rest = bits % 8;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool zeroAfter(const Bytes& bytes, int bits) {
    for (int i = bits; i < 128; ++i)
        if ((bytes[static_cast<size_t>(i / 8)] >> (7 - i % 8) & 1) != 0) return false;
    return true;
}

std::unexpected<Error> notANetwork(const std::string& text, std::string_view why) {
    return fail(Code::invalid, Source::config,
                fmt::format("trusted_proxies: '{}' {}; write for example 10.0.0.0/8, "
                            "2001:db8::/32, 192.0.2.1 or unix",
                            text, why));
}

}  // namespace

Result<ProxyTrust::Network> ProxyTrust::parseNetwork(const std::string& text) {
    const size_t slash = std::min(text.find('/'), text.size());
    const std::string address = text.substr(0, slash);
    Network network;
    in_addr ipv4;
    const bool is_ipv4 = inet_pton(AF_INET, address.c_str(), &ipv4) == 1;
    if (is_ipv4) {
        network.prefix = mapped(&ipv4);
    } else if (inet_pton(AF_INET6, address.c_str(), network.prefix.data()) != 1) {
        return notANetwork(text, "is not an address or a network");
    }

    const int most = is_ipv4 ? 32 : 128;
    int bits = most;
    if (slash < text.size()) {
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, bits);
        if (error != std::errc() || stop != end || bits < 0 || bits > most)
            return notANetwork(text, fmt::format("needs a prefix length from 0 to {}", most));
    }
    network.bits = bits + (is_ipv4 ? kMappedBits : 0);
    if (!zeroAfter(network.prefix, network.bits))
        return notANetwork(text, "has bits set beyond its prefix length");
    return network;
}

Result<ProxyTrust> ProxyTrust::parse(const std::vector<std::string>& cidrs) {
    ProxyTrust trust;
    for (const std::string& text : cidrs) {
        if (text == "unix") {
            trust.unix_peers_ = true;
            continue;
        }
        REGROW_TRY(const Network network, parseNetwork(text));
        trust.networks_.push_back(network);
    }
    return trust;
}

bool ProxyTrust::within(const Bytes& bytes) const {
    return std::any_of(networks_.begin(), networks_.end(),
                       [&](const Network& n) { return samePrefix(bytes, n.prefix, n.bits); });
}

bool ProxyTrust::trusts(const Address& peer) const {
    if (peer.isUnix()) return unix_peers_;
    const auto bytes = bytesOf(peer);
    return bytes && within(*bytes);
}

bool ProxyTrust::contains(std::string_view ip) const {
    if (ip == "unknown") return unix_peers_;
    const auto bytes = bytesOf(ip);
    return bytes && within(*bytes);
}

}  // namespace regrow::proxy
