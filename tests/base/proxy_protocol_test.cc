#include "base/proxy_protocol.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/crc32c.h"

using namespace regrow;
using Outcome = ProxyParse::Outcome;

namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string number(size_t value, int bytes) {
    std::string text;
    while (bytes-- > 0) text += static_cast<char>(value >> (8 * bytes) & 0xff);
    return text;
}

std::string v2(unsigned command, unsigned family, const std::string& block) {
    return kSignature + static_cast<char>(command) + static_cast<char>(family) +
           number(block.size(), 2) + block;
}

std::string tlv(unsigned type, const std::string& value) {
    return static_cast<char>(type) + number(value.size(), 2) + value;
}

const std::string kInet("\xc0\x00\x02\x01\xc6\x33\x64\x07\xc7\x38\x01\xbb", 12);

// A v2 header whose last TLV is a right checksum.
std::string summed(std::string block) {
    block += tlv(3, std::string(4, '\0'));
    std::string header = v2(0x21, 0x11, block);
    const std::string sum = number(crc32c(header), 4);
    return header.substr(0, header.size() - 4) + sum;
}

// All at once and byte by byte come to the same.
ProxyParse parse(const std::string& text, ProxyHeader& header,
                 ProxyAccepts accepts = ProxyAccepts::any) {
    const ProxyParse whole = parseProxyHeader(text, accepts, header);
    for (size_t n = 0; n <= text.size(); ++n) {
        ProxyHeader partial;
        const auto part = parseProxyHeader(std::string_view(text).substr(0, n), accepts, partial);
        if (part.outcome == Outcome::need_more) continue;
        CHECK(part.outcome == whole.outcome);
        CHECK(part.bytes == whole.bytes);
        CHECK(part.flaw == whole.flaw);
        break;
    }
    return whole;
}

std::string flawOf(const std::string& text, ProxyAccepts accepts = ProxyAccepts::any) {
    ProxyHeader header;
    const auto result = parse(text, header, accepts);
    return result.outcome == Outcome::error ? std::string(result.flaw) : "none";
}

std::string endsOf(const std::string& text) {
    ProxyHeader header;
    const auto result = parse(text + "GET", header);
    if (result.outcome != Outcome::done || result.bytes != text.size()) return "not read";
    if (!header.relayed) return "own";
    return header.ends.source.text() + " > " + header.ends.destination.text();
}

}  // namespace

TEST_CASE("a PROXY header says who the client is", "[proxy_protocol]") {
    CHECK(endsOf("PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n") ==
          "192.0.2.1:51000 > 198.51.100.7:443");
    CHECK(endsOf("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n") == "[2001:db8::1]:0 > [::1]:65535");
    CHECK(endsOf(v2(0x21, 0x11, kInet)) == "192.0.2.1:51000 > 198.51.100.7:443");
    const std::string v6 = std::string(15, '\0') + "\1" + std::string(15, '\0') + "\2" +
                           std::string("\0\x50\x01\xbb", 4);
    CHECK(endsOf(v2(0x21, 0x21, v6)) == "[::1]:80 > [::2]:443");
    std::string paths = "/run/a" + std::string(102, '\0') + std::string(108, '\0');
    CHECK(endsOf(v2(0x21, 0x31, paths)) == "unix:/run/a > unix:");
}

TEST_CASE("a PROXY header that speaks for its sender leaves the connection's ends",
          "[proxy_protocol]") {
    CHECK(endsOf("PROXY UNKNOWN\r\n") == "own");
    CHECK(endsOf("PROXY UNKNOWN ffff::1 ::2 1 2\r\n") == "own");
    CHECK(endsOf(v2(0x20, 0x00, "")) == "own");
    CHECK(endsOf(v2(0x20, 0x77, "what it likes")) == "own");
    CHECK(endsOf(v2(0x21, 0x00, tlv(4, "padding"))) == "own");
}

TEST_CASE("TLVs are passed over, and a checksum must be right", "[proxy_protocol]") {
    const std::string ends = "192.0.2.1:51000 > 198.51.100.7:443";
    CHECK(endsOf(v2(0x21, 0x11, kInet + tlv(1, "h2") + tlv(0xea, std::string(500, 'v')))) == ends);
    CHECK(endsOf(summed(kInet + tlv(5, "unique"))) == ends);
    std::string wrong = summed(kInet);
    wrong.back() = static_cast<char>(wrong.back() ^ 1);
    CHECK(flawOf(wrong) == "v2 header with a wrong checksum");
    std::string changed = summed(kInet);
    changed[17] = 9;
    CHECK(flawOf(changed) == "v2 header with a wrong checksum");
    CHECK(flawOf(v2(0x21, 0x11, kInet + tlv(3, "abc"))) == "v2 header with a malformed checksum");
    CHECK(flawOf(v2(0x21, 0x11, kInet + "\1")) == "v2 header that ends in the middle of a TLV");
    CHECK(flawOf(v2(0x21, 0x11, kInet + std::string("\1\0\5abcd", 7))) ==
          "v2 header with a TLV that is longer than it");
}

TEST_CASE("what two readers could take differently is no PROXY header", "[proxy_protocol]") {
    const std::string wrong = "v1 header with a wrong address or port";
    for (const std::string words :
         {"192.0.2.1 198.51.100.7 51000 0443", "192.0.2.1 198.51.100.7 51000 65536",
          "192.0.2.1 198.51.100.7 51000 +443", "192.0.2.1  198.51.100.7 51000 443",
          "192.0.2.1 198.51.100.7 51000 443 ", "192.0.2.1 198.51.100.7 51000",
          "192.0.2.01 198.51.100.7 51000 443", "::1 ::1 51000 443", "", "localhost 1.2.3.4 1 2"}) {
        INFO(words);
        CHECK(flawOf("PROXY TCP4 " + words + "\r\n") == wrong);
    }
    CHECK(flawOf("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n") == wrong);
    CHECK(flawOf("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n") == "v1 header of an unknown family");
    CHECK(flawOf("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n") == "v1 header with a broken line end");
    CHECK(flawOf("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rx") == "v1 header with a broken line end");
    CHECK(flawOf(v2(0x22, 0x11, kInet)) == "v2 header of an unknown command");
    CHECK(flawOf(v2(0x11, 0x11, kInet)) == "v2 signature with another version");
    const std::string family = "v2 header of a family or transport that is not a stream's";
    CHECK(flawOf(v2(0x21, 0x12, kInet)) == family);
    CHECK(flawOf(v2(0x21, 0x41, kInet)) == family);
    CHECK(flawOf(v2(0x21, 0x11, kInet.substr(1))) == "v2 header too short for its addresses");
    const std::string none = "no PROXY header of a version that is taken here";
    CHECK(flawOf("GET / HTTP/1.1\r\n") == none);
    CHECK(flawOf("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n") == none);
    CHECK(flawOf("PROXY UNKNOWN\r\n", ProxyAccepts::v2) == none);
    CHECK(flawOf(v2(0x20, 0, ""), ProxyAccepts::v1) == none);
}

TEST_CASE("a PROXY header has an end", "[proxy_protocol]") {
    ProxyHeader header;
    const std::string longest = "PROXY UNKNOWN " + std::string(107 - 16, 'x') + "\r\n";
    REQUIRE(longest.size() == kProxyV1Most);
    CHECK(parse(longest, header).outcome == Outcome::done);
    CHECK(flawOf("PROXY UNKNOWN " + std::string(107 - 15, 'x') + "\r\n") ==
          "v1 header longer than 107 bytes");
    CHECK(parse("PROXY UNKNOWN " + std::string(92, 'x'), header).outcome == Outcome::need_more);
    CHECK(flawOf("PROXY UNKNOWN " + std::string(93, 'x')) == "v1 header longer than 107 bytes");
    const size_t most = kProxyV2Most - 16 - 12 - 3;
    CHECK(endsOf(v2(0x21, 0x11, kInet + tlv(4, std::string(most, '\0')))) != "not read");
    // Refused by its length, before a byte of it is waited for.
    CHECK(flawOf(v2(0x21, 0x11, kInet + tlv(4, std::string(most + 1, '\0'))).substr(0, 16)) ==
          "v2 header longer than 4096 bytes");
}

TEST_CASE("PROXY headers are read as they are written", "[proxy_protocol]") {
    const std::vector<std::pair<std::string, std::string>> pairs = {
        {"192.0.2.1:51000", "198.51.100.7:443"},
        {"[2001:db8::1]:1", "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    };
    for (const auto& [source, destination] : pairs)
        for (const auto version : {ProxyVersion::v1, ProxyVersion::v2}) {
            char out[kProxyHeaderRoom];
            const ClientEnds ends{*Address::parse(source), *Address::parse(destination)};
            const std::string written(out, writeProxyHeader(version, ends, out));
            CHECK(endsOf(written) == source + " > " + destination);
        }
}

TEST_CASE("ends that a PROXY version has no words for", "[proxy_protocol]") {
    char out[kProxyHeaderRoom];
    const auto write = [&](ProxyVersion version, const char* a, const char* b) {
        return std::string(
            out, writeProxyHeader(version, {*Address::parse(a), *Address::parse(b)}, out));
    };
    CHECK(write(ProxyVersion::v1, "192.0.2.1:1", "[::1]:2") ==
          "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n");
    CHECK(endsOf(write(ProxyVersion::v2, "192.0.2.1:1", "[::1]:2")) ==
          "[::ffff:192.0.2.1]:1 > [::1]:2");
    const std::string path(107, 'p');
    const std::string unix = "unix:" + path;
    CHECK(write(ProxyVersion::v1, unix.c_str(), "unix:/b") == "PROXY UNKNOWN\r\n");
    CHECK(endsOf(write(ProxyVersion::v2, unix.c_str(), "unix:/b")) == unix + " > unix:/b");
    CHECK(write(ProxyVersion::v2, "unix:/b", "127.0.0.1:1") == v2(0x21, 0, ""));
    CHECK(std::string(out, writeLocalProxyHeader(ProxyVersion::v2, out)) == v2(0x20, 0, ""));
    CHECK(std::string(out, writeLocalProxyHeader(ProxyVersion::v1, out)) == "PROXY UNKNOWN\r\n");
}
