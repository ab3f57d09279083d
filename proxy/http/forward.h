#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/address.h"
#include "base/http/head.h"
#include "base/tls/peer.h"
#include "proxy/http/head_writer.h"
#include "proxy/http/trust.h"

// Heads are written anew from parsed fields, never passed on as bytes: what we understood is what
// the other side gets. Pure, any thread, no allocation. See README.md for what is removed, added
// and refused, and why.
namespace regrow::proxy {

// What is said about a client, computed once per connection. 39 characters hold any address.
class ClientIdentity {
  public:
    ClientIdentity() = default;
    ClientIdentity(const Address& peer, bool tls, const ProxyTrust& trust);

    std::string_view ip() const {
        return {ip_.data(), ip_size_};
    }  // "192.0.2.1", "2001:db8::1", "unknown" (unix)
    bool ipv6() const { return ipv6_; }
    bool trusted() const { return trusted_; }
    uint64_t key() const { return key_; }  // client_address.h
    std::string_view scheme() const { return tls_ ? "https" : "http"; }
    // Who the client proved to be by its certificate; null where clients are not asked. It lives
    // as long as the connection.
    const tls::PeerCertificate* certificate() const { return certificate_; }
    void prove(const tls::PeerCertificate* certificate) { certificate_ = certificate; }

  private:
    uint64_t key_ = 0;
    std::array<char, 44> ip_{};
    uint8_t ip_size_ = 0;
    bool ipv6_ = false;
    bool trusted_ = false;
    bool tls_ = false;
    const tls::PeerCertificate* certificate_ = nullptr;
};

// Whether a field of a request may be taken for what it says: those that tell where it came from
// only from a trusted proxy, and of a certificate only where the client's own is not known here.
bool believed(const http::Field& field, const ClientIdentity& client);

// What the client asked for, as seen from outside: what a trusted proxy says of it, if it says it
// once, else what came here. The host is without port.
std::string_view outerScheme(const http::RequestHead& head, const ClientIdentity& client);
std::string_view outerHost(const http::RequestHead& head, const ClientIdentity& client);

// The request as it goes to a backend: HTTP/1.1, origin-form, our framing, our forwarding fields.
// `fallback_host` is sent as Host when an HTTP/1.0 client gave none. Check out.full(): 16 KiB plus
// the received head's size always suffices. Expect: 100-continue is passed on when `pass_expect`
// (the body has not been read yet); else the client was answered by us.
struct RequestForward {
    std::string_view fallback_host;
    std::string_view host = {};  // sent in place of the client's; empty: the client's
    bool pass_expect = false;
    std::string_view via_name = "regrow";  // a token
};
// How far an OPTIONS or TRACE may go on (RFC 9110 7.6.2); what is written counts this hop.
enum class Hops : uint8_t { unlimited, some, none, invalid };
Hops maxForwards(const http::RequestHead& head);
void writeRequestHead(HeadWriter& out, const http::RequestHead& head, const ClientIdentity& client,
                      const RequestForward& how);

// The response as it goes to the client.
struct ResponseForward {
    http::Method method = http::Method::get;       // of the request
    http::Version client = http::Version::http11;  // what the client speaks
    bool keep_alive =
        true;  // may the client use this connection again; false adds Connection: close
    bool trailers = false;       // they follow a chunked body when the backend sent some
    std::string_view date = {};  // IMF-fixdate, used when the backend sent none
    std::string_view via_name = "regrow";
    std::string_view set_cookie = {};  // one more Set-Cookie, of our own; empty: none
};
// How the body goes to the client: as it came, but chunked becomes until_close for HTTP/1.0
// clients, and until_close becomes chunked for the others (so that an ended response is told from a
// broken one; HTTP/2 frames it in its own way). keep_alive must be false for until_close.
http::Body downstreamBody(const http::ResponseHead& head, http::Method method,
                          http::Version client);
void writeResponseHead(HeadWriter& out, const http::ResponseHead& head, const ResponseForward& how);

// Chunk framing for bodies forwarded chunked: writes "SIZE\r\n"; the payload and "\r\n" follow.
// kLastChunk ends a body without trailers.
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";
inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr size_t kChunkHeadBytes = 18;
void writeChunkHead(HeadWriter& out, uint64_t payload_bytes);
// Whether a field may be passed on in a trailer section: nothing that frames, routes or belongs to
// one connection, and nothing that proxies vouch for.
bool allowedInTrailers(std::string_view name);

}  // namespace regrow::proxy
