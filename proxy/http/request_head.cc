#include <charconv>
#include <optional>

#include "base/http/chars.h"
#include "base/http/lines.h"
#include "proxy/http/forward.h"

namespace regrow::proxy {
namespace {

using http::Field;
using http::FieldId;
using http::RequestHead;

// The only one of that name, from who may say it.
std::string_view told(const RequestHead& head, FieldId id, const ClientIdentity& client) {
    std::string_view value;
    if (!client.trusted()) return value;
    for (const Field& f : head.fields) {
        if (f.id != id || f.drop) continue;
        if (!value.empty()) return {};
        value = f.value();
    }
    return value;
}

}  // namespace

std::string_view outerScheme(const RequestHead& head, const ClientIdentity& client) {
    const std::string_view scheme = told(head, FieldId::x_forwarded_proto, client);
    for (const std::string_view known : {std::string_view("http"), std::string_view("https")})
        if (http::equalsIgnoringCase(scheme, known)) return known;
    return client.scheme();
}

std::string_view outerHost(const RequestHead& head, const ClientIdentity& client) {
    const std::string_view authority = told(head, FieldId::x_forwarded_host, client);
    std::string_view host;
    uint16_t port = 0;
    const bool valid = !authority.empty() &&
                       http::readAuthority(authority, host, port) == http::Flaw::none &&
                       !host.empty();
    return valid ? host : head.host;
}

bool believed(const Field& f, const ClientIdentity& client) {
    switch (f.id) {
        case FieldId::forwarded:
        case FieldId::x_forwarded_for:
        case FieldId::x_forwarded_proto:
        case FieldId::x_forwarded_host:
        case FieldId::x_forwarded_other:
        case FieldId::x_real_ip: return client.trusted();
        case FieldId::client_cert: return client.trusted() && !client.certificate();
        case FieldId::proxy: return false;
        default: return true;
    }
}

namespace {

enum class Fate { pass, ours, drop };

// What becomes of a field the parser has not marked. `ours`: we write it ourselves.
Fate fateOf(const Field& f, const ClientIdentity& client) {
    switch (f.id) {
        case FieldId::host:
        case FieldId::content_length:
        case FieldId::expect:
        case FieldId::trailer:
        case FieldId::forwarded:
        case FieldId::x_forwarded_for: return Fate::ours;
        default: return believed(f, client) ? Fate::pass : Fate::drop;
    }
}

void addRequestLine(HeadWriter& out, const RequestHead& head) {
    out.add(head.method_text), out.add(' ');
    out.add(head.path), out.add(head.query);
    out.add(" HTTP/1.1\r\n");
}

void addHost(HeadWriter& out, const RequestHead& head, const RequestForward& how) {
    if (!how.host.empty()) return out.addField("Host", how.host);
    out.addField("Host", head.authority.empty() ? how.fallback_host : head.authority);
}

// Nothing when it is no number of at most 9 digits.
std::optional<uint32_t> hopsLeft(const Field& f) {
    const std::string_view text = f.value();
    uint32_t hops = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), hops);
    if (error != std::errc() || end != text.data() + text.size() || text.size() > 9)
        return std::nullopt;
    return hops;
}

void addOne(HeadWriter& out, const RequestHead& head, const Field& f) {
    if (f.id != FieldId::max_forwards || head.method != http::Method::options)
        return out.addField(f.name(), f.value());
    out.add("Max-Forwards: "), out.addNumber(hopsLeft(f).value_or(1) - 1), out.add("\r\n");
}

void addFraming(HeadWriter& out, const RequestHead& head) {
    if (head.body.kind == http::BodyKind::chunked) {
        out.add("Transfer-Encoding: chunked\r\n");
        for (const Field& f : head.fields)
            if (f.id == FieldId::trailer && !f.drop) out.addField("Trailer", f.value());
    } else if (head.has_content_length) {
        out.add("Content-Length: "), out.addNumber(head.body.length), out.add("\r\n");
    }
}

// What was received under that name, as one list with a comma after each part.
void addReceived(HeadWriter& out, const RequestHead& head, FieldId id) {
    for (const Field& f : head.fields)
        if (f.id == id && !f.drop && !f.value().empty()) out.add(f.value()), out.add(", ");
}

void addForwardedFor(HeadWriter& out, const RequestHead& head, const ClientIdentity& client) {
    out.add("X-Forwarded-For: ");
    if (client.trusted()) addReceived(out, head, FieldId::x_forwarded_for);
    out.add(client.ip()), out.add("\r\n");
}

bool has(const RequestHead& head, FieldId id) {
    const Field* f = head.fields.find(id);
    return f != nullptr && !f->drop;
}

void addForwardedProtoAndHost(HeadWriter& out, const RequestHead& head,
                              const ClientIdentity& client) {
    if (!client.trusted() || !has(head, FieldId::x_forwarded_proto))
        out.addField("X-Forwarded-Proto", client.scheme());
    const bool keep_host = client.trusted() && has(head, FieldId::x_forwarded_host);
    if (!keep_host && !head.authority.empty()) out.addField("X-Forwarded-Host", head.authority);
}

// RFC 7239. A host and an IPv6 address have characters that need quotes; neither can hold a quote
// itself.
void addForwarded(HeadWriter& out, const RequestHead& head, const ClientIdentity& client) {
    out.add("Forwarded: ");
    if (client.trusted()) addReceived(out, head, FieldId::forwarded);
    out.add(client.ipv6() ? "for=\"[" : "for=");
    out.add(client.ip());
    if (client.ipv6()) out.add("]\"");
    if (!head.authority.empty()) out.add(";host=\""), out.add(head.authority), out.add('"');
    out.add(";proto="), out.add(client.scheme()), out.add("\r\n");
}

// What the client proved by its certificate, where it was asked for one. Nobody else can have set
// these: what came under their names is dropped.
void addClientCertificate(HeadWriter& out, const ClientIdentity& client) {
    const tls::PeerCertificate* const certificate = client.certificate();
    if (!certificate) return;
    out.addField("X-Client-Cert-Verify", certificate->shown ? "SUCCESS" : "NONE");
    if (!certificate->shown) return;
    if (!certificate->subject.empty()) out.addField("X-Client-Cert-Subject", certificate->subject);
    out.addField("X-Client-Cert-SHA256", certificate->sha256);
}

void addVia(HeadWriter& out, http::Version received, std::string_view name) {
    out.add("Via: "), out.add(http::numberOf(received)), out.add(' ');
    out.add(name), out.add("\r\n");
}

void addConnection(HeadWriter& out, const RequestHead& head) {
    if (head.te_trailers) out.add("TE: trailers\r\n");
    if (!head.upgrade.empty()) out.addField("Upgrade", head.upgrade);
    if (head.te_trailers && !head.upgrade.empty())
        out.add("Connection: TE, Upgrade\r\n");
    else if (head.te_trailers || !head.upgrade.empty())
        out.add(head.te_trailers ? "Connection: TE\r\n" : "Connection: Upgrade\r\n");
}

}  // namespace

Hops maxForwards(const RequestHead& head) {
    Hops least = Hops::unlimited;
    for (const Field& f : head.fields) {
        if (f.id != FieldId::max_forwards || f.drop) continue;
        const auto hops = hopsLeft(f);
        if (!hops || least != Hops::unlimited) return Hops::invalid;
        least = *hops == 0 ? Hops::none : Hops::some;
    }
    return least;
}

void writeRequestHead(HeadWriter& out, const RequestHead& head, const ClientIdentity& client,
                      const RequestForward& how) {
    addRequestLine(out, head);
    addHost(out, head, how);
    for (const Field& f : head.fields)
        if (!f.drop && fateOf(f, client) == Fate::pass) addOne(out, head, f);
    addFraming(out, head);
    if (how.pass_expect && head.expect_continue) out.add("Expect: 100-continue\r\n");
    addForwardedFor(out, head, client);
    addForwardedProtoAndHost(out, head, client);
    addForwarded(out, head, client);
    addClientCertificate(out, client);
    addVia(out, head.version, how.via_name);
    addConnection(out, head);
    out.add("\r\n");
}

}  // namespace regrow::proxy
