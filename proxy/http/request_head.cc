#include "proxy/http/forward.h"

namespace regrow::proxy {
namespace {

using http::Field;
using http::FieldId;
using http::RequestHead;

enum class Fate { pass, ours, drop };

// What becomes of a field the parser has not marked. `ours`: we write it ourselves.
Fate fateOf(const Field& f, bool trusted) {
    switch (f.id) {
        case FieldId::host:
        case FieldId::content_length:
        case FieldId::expect:
        case FieldId::forwarded:
        case FieldId::x_forwarded_for: return Fate::ours;
        case FieldId::x_forwarded_proto:
        case FieldId::x_forwarded_host:
        case FieldId::x_forwarded_other:
        case FieldId::x_real_ip: return trusted ? Fate::pass : Fate::drop;
        case FieldId::trailer:  // they are checked and not passed on
        case FieldId::proxy: return Fate::drop;
        default: return Fate::pass;
    }
}

void addRequestLine(HeadWriter& out, const RequestHead& head) {
    out.add(head.method_text), out.add(' ');
    out.add(head.path), out.add(head.query);
    out.add(" HTTP/1.1\r\n");
}

void addHost(HeadWriter& out, const RequestHead& head, std::string_view fallback) {
    out.addField("Host", head.authority.empty() ? fallback : head.authority);
}

void addFraming(HeadWriter& out, const RequestHead& head) {
    if (head.body.kind == http::BodyKind::chunked) {
        out.add("Transfer-Encoding: chunked\r\n");
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

void addVia(HeadWriter& out, http::Version received, std::string_view name) {
    out.add(received == http::Version::http11 ? "Via: 1.1 " : "Via: 1.0 ");
    out.add(name), out.add("\r\n");
}

void addConnection(HeadWriter& out, const RequestHead& head) {
    if (head.upgrade.empty()) return;
    out.addField("Upgrade", head.upgrade);
    out.add("Connection: Upgrade\r\n");
}

}  // namespace

void writeRequestHead(HeadWriter& out, const RequestHead& head, const ClientIdentity& client,
                      const RequestForward& how) {
    addRequestLine(out, head);
    addHost(out, head, how.fallback_host);
    for (const Field& f : head.fields)
        if (!f.drop && fateOf(f, client.trusted()) == Fate::pass) out.addField(f.name(), f.value());
    addFraming(out, head);
    if (how.pass_expect && head.expect_continue) out.add("Expect: 100-continue\r\n");
    addForwardedFor(out, head, client);
    addForwardedProtoAndHost(out, head, client);
    addForwarded(out, head, client);
    addVia(out, head.version, how.via_name);
    addConnection(out, head);
    out.add("\r\n");
}

}  // namespace regrow::proxy
