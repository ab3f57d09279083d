#include "base/proxy_protocol.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/proxy_protocol_wire.h"

namespace regrow {
namespace {

using namespace proxy_wire;

ProxyParse flawed(std::string_view why) {
    return {.outcome = ProxyParse::Outcome::error, .flaw = why};
}

// One spelling for each port: no sign, no leading zero, nothing beyond 65535.
bool readPort(std::string_view text, uint16_t& port) {
    if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return false;
    uint32_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return false;
        value = value * 10 + static_cast<uint32_t>(c - '0');
    }
    port = static_cast<uint16_t>(value);
    return value <= 65535;
}

bool readHost(int family, std::string_view text, void* to) {
    std::array<char, INET6_ADDRSTRLEN> copy{};
    if (text.empty() || text.size() >= copy.size()) return false;
    std::ranges::copy(text, copy.begin());
    return ::inet_pton(family, copy.data(), to) == 1;
}

bool readEnd(int family, std::string_view host, std::string_view port_text, Address& end) {
    uint16_t port = 0;
    std::array<unsigned char, 16> bytes{};
    if (!readHost(family, host, bytes.data()) || !readPort(port_text, port)) return false;
    end = family == AF_INET ? addressV4(bytes.data(), port) : addressV6(bytes.data(), port);
    return true;
}

// Exactly one space between two words.
std::string_view nextWord(std::string_view& rest) {
    const auto space = std::min(rest.find(' '), rest.size());
    const auto word = rest.substr(0, space);
    rest.remove_prefix(std::min(space + 1, rest.size()));
    return word;
}

ProxyParse readV1Line(std::string_view line, ProxyHeader& header) {
    const ProxyParse done{
        .outcome = ProxyParse::Outcome::done, .bytes = line.size() + 2, .flaw = {}};
    std::string_view rest = line.substr(kV1Prefix.size());
    const auto family = nextWord(rest);
    if (family == "UNKNOWN") return done;  // and whatever follows it
    if (family != "TCP4" && family != "TCP6") return flawed("v1 header of an unknown family");
    const int af = family == "TCP4" ? AF_INET : AF_INET6;
    const auto source = nextWord(rest);
    const auto destination = nextWord(rest);
    const auto source_port = nextWord(rest);
    if (!readEnd(af, source, source_port, header.ends.source) ||
        !readEnd(af, destination, rest, header.ends.destination))
        return flawed("v1 header with a wrong address or port");
    header.relayed = true;
    return done;
}

ProxyParse readV1(std::string_view received, ProxyHeader& header) {
    const auto seen = received.substr(0, kProxyV1Most);
    const auto end = seen.find_first_of(std::string_view("\r\n\0", 3));
    const bool open = end == std::string_view::npos || end + 1 == seen.size();
    if (end != std::string_view::npos && (seen[end] != '\r' || (!open && seen[end + 1] != '\n')))
        return flawed("v1 header with a broken line end");
    if (open && seen.size() < kProxyV1Most) return {};
    if (open) return flawed("v1 header longer than 107 bytes");
    return readV1Line(seen.substr(0, end), header);
}

// The checksum is that of the whole header with its own four bytes zero.
bool checksumFits(std::string_view header, size_t at) {
    constexpr std::string_view kZero("\0\0\0\0", 4);
    const uint32_t before = crc32c(kZero, crc32c(header.substr(0, at)));
    return crc32c(header.substr(at + 4), before) == readU32(header.substr(at));
}

std::string_view checkTlvs(std::string_view header, size_t at) {
    bool summed = false;
    while (at < header.size()) {
        if (header.size() - at < kTlvHead) return "v2 header that ends in the middle of a TLV";
        const auto type = static_cast<unsigned char>(header[at]);
        const size_t length = readU16(header.substr(at + 1));
        at += kTlvHead;
        if (header.size() - at < length) return "v2 header with a TLV that is longer than it";
        if (type == kTlvCrc32c) {
            if (length != 4 || summed) return "v2 header with a malformed checksum";
            if (!checksumFits(header, at)) return "v2 header with a wrong checksum";
            summed = true;
        }
        at += length;
    }
    return {};
}

size_t addressBytes(unsigned family) {
    switch (family) {
        case kInetStream: return 12;
        case kInet6Stream: return 36;
        case kUnixStream: return 216;
        default: return 0;
    }
}

void readEnds(unsigned family, const char* at, ClientEnds& ends) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(at);
    if (family == kInetStream) {
        ends.source = addressV4(bytes, readU16({at + 8, 2}));
        ends.destination = addressV4(bytes + 4, readU16({at + 10, 2}));
    } else if (family == kInet6Stream) {
        ends.source = addressV6(bytes, readU16({at + 32, 2}));
        ends.destination = addressV6(bytes + 16, readU16({at + 34, 2}));
    } else {
        ends.source = addressUnix({at, kUnixPath});
        ends.destination = addressUnix({at + kUnixPath, kUnixPath});
    }
}

ProxyParse readV2Block(std::string_view whole, ProxyHeader& header) {
    const ProxyParse done{.outcome = ProxyParse::Outcome::done, .bytes = whole.size(), .flaw = {}};
    const auto command = static_cast<unsigned char>(whole[12]);
    const auto family = static_cast<unsigned char>(whole[13]);
    if (command == kLocal) return done;  // its block means nothing, by the specification
    if (family == kUnspecified) {
        const auto flaw = checkTlvs(whole, kV2Fixed);
        return flaw.empty() ? done : flawed(flaw);
    }
    const size_t addresses = addressBytes(family);
    if (addresses == 0) return flawed("v2 header of a family or transport that is not a stream's");
    if (whole.size() < kV2Fixed + addresses) return flawed("v2 header too short for its addresses");
    if (const auto flaw = checkTlvs(whole, kV2Fixed + addresses); !flaw.empty())
        return flawed(flaw);
    readEnds(family, whole.data() + kV2Fixed, header.ends);
    header.relayed = true;
    return done;
}

ProxyParse readV2(std::string_view received, ProxyHeader& header) {
    if (received.size() > 12) {
        const auto command = static_cast<unsigned char>(received[12]);
        if (command >> 4 != 2) return flawed("v2 signature with another version");
        if (command != kLocal && command != kProxied)
            return flawed("v2 header of an unknown command");
    }
    if (received.size() < kV2Fixed) return {};
    const size_t size = kV2Fixed + readU16(received.substr(14));
    if (size > kProxyV2Most) return flawed("v2 header longer than 4096 bytes");
    if (received.size() < size) return {};
    return readV2Block(received.substr(0, size), header);
}

bool begins(std::string_view received, std::string_view with) {
    const size_t common = std::min(received.size(), with.size());
    return received.substr(0, common) == with.substr(0, common);
}

}  // namespace

ProxyParse parseProxyHeader(std::string_view received, ProxyAccepts accepts, ProxyHeader& header) {
    header = ProxyHeader();
    if (received.empty()) return {};
    if (accepts != ProxyAccepts::v1 && begins(received, kV2Signature))
        return received.size() < kV2Signature.size() ? ProxyParse{} : readV2(received, header);
    if (accepts != ProxyAccepts::v2 && begins(received, kV1Prefix))
        return received.size() < kV1Prefix.size() ? ProxyParse{} : readV1(received, header);
    return flawed("no PROXY header of a version that is taken here");
}

}  // namespace regrow
