#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/proxy_protocol.h"
#include "base/proxy_protocol_wire.h"

namespace regrow {
namespace {

using namespace proxy_wire;

// Sixteen bytes, IPv4 as ::ffff:a.b.c.d.
std::array<unsigned char, 16> bytesV6(const Address& address) {
    std::array<unsigned char, 16> bytes{};
    if (address.family() == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, address.sockaddrPtr(), sizeof v6);
        std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    } else {
        sockaddr_in v4{};
        std::memcpy(&v4, address.sockaddrPtr(), sizeof v4);
        bytes[10] = bytes[11] = 0xff;
        std::memcpy(bytes.data() + 12, &v4.sin_addr, 4);
    }
    return bytes;
}

bool isInternet(const Address& address) {
    return address.family() == AF_INET || address.family() == AF_INET6;
}

class Out {
  public:
    explicit Out(char* at) : begin_(at), at_(at) {}
    void put(std::string_view bytes) { at_ = std::ranges::copy(bytes, at_).out; }
    void put(const unsigned char* bytes, size_t size) {
        put({reinterpret_cast<const char*>(bytes), size});
    }
    void byte(unsigned value) { *at_++ = static_cast<char>(value); }
    void u16(unsigned value) { byte(value >> 8), byte(value & 0xff); }
    // In its field of `width`, the rest zero.
    void padded(std::string_view bytes, size_t width) {
        put(bytes);
        at_ = std::fill_n(at_, width - bytes.size(), '\0');
    }
    size_t size() const { return static_cast<size_t>(at_ - begin_); }

  private:
    char* begin_;
    char* at_;
};

void putHost(Out& out, int family, const unsigned char* bytes) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    out.put(::inet_ntop(family, bytes, text.data(), text.size()));
}

size_t writeV1(const ClientEnds& ends, bool v4, char* to) {
    Out out(to);
    const auto source = bytesV6(ends.source), destination = bytesV6(ends.destination);
    const int family = v4 ? AF_INET : AF_INET6;
    const size_t skip = v4 ? 12 : 0;
    out.put(v4 ? "PROXY TCP4 " : "PROXY TCP6 ");
    putHost(out, family, source.data() + skip);
    out.byte(' ');
    putHost(out, family, destination.data() + skip);
    std::array<char, 16> ports{};
    const auto* end =
        fmt::format_to(ports.data(), " {} {}\r\n", ends.source.port(), ends.destination.port());
    out.put({ports.data(), static_cast<size_t>(end - ports.data())});
    return out.size();
}

void putFixed(Out& out, unsigned command, unsigned family, unsigned length) {
    out.put(kV2Signature);
    out.byte(command);
    out.byte(family);
    out.u16(length);
}

size_t writeV2Internet(const ClientEnds& ends, bool v4, char* to) {
    Out out(to);
    const size_t size = v4 ? 4 : 16;
    putFixed(out, kProxied, v4 ? kInetStream : kInet6Stream, v4 ? 12 : 36);
    for (const Address* end : {&ends.source, &ends.destination})
        out.put(bytesV6(*end).data() + (16 - size), size);
    out.u16(ends.source.port());
    out.u16(ends.destination.port());
    return out.size();
}

std::string_view unixPath(const Address& address) {
    constexpr auto kBefore = offsetof(sockaddr_un, sun_path);
    if (address.length() <= kBefore) return {};
    const auto* path = reinterpret_cast<const char*>(address.sockaddrPtr()) + kBefore;
    return {path, ::strnlen(path, std::min<size_t>(address.length() - kBefore, kUnixPath))};
}

size_t writeV2Unix(const ClientEnds& ends, char* to) {
    Out out(to);
    putFixed(out, kProxied, kUnixStream, 2 * kUnixPath);
    out.padded(unixPath(ends.source), kUnixPath);
    out.padded(unixPath(ends.destination), kUnixPath);
    return out.size();
}

size_t writeUnknown(ProxyVersion version, unsigned command, char* to) {
    Out out(to);
    if (version == ProxyVersion::v1)
        out.put("PROXY UNKNOWN\r\n");
    else
        putFixed(out, command, kUnspecified, 0);
    return out.size();
}

}  // namespace

size_t writeProxyHeader(ProxyVersion version, const ClientEnds& ends, char* out) {
    const bool v4 = ends.source.family() == AF_INET && ends.destination.family() == AF_INET;
    if (isInternet(ends.source) && isInternet(ends.destination))
        return version == ProxyVersion::v1 ? writeV1(ends, v4, out)
                                           : writeV2Internet(ends, v4, out);
    if (version == ProxyVersion::v2 && ends.source.isUnix() && ends.destination.isUnix())
        return writeV2Unix(ends, out);
    return writeUnknown(version, kProxied, out);
}

size_t writeLocalProxyHeader(ProxyVersion version, char* out) {
    return writeUnknown(version, kLocal, out);
}

}  // namespace regrow
