#include "proxy/http/error_response.h"
#include "proxy/http/forward.h"

namespace regrow::proxy {
namespace {

using http::Body;
using http::BodyKind;
using http::Field;
using http::FieldId;
using http::ResponseHead;

void addStatusLine(HeadWriter& out, const ResponseHead& head) {
    out.add("HTTP/1.1 "), out.addNumber(head.status), out.add(' ');
    out.add(head.reason), out.add("\r\n");
}

bool passes(const Field& f) {
    return !f.drop && f.id != FieldId::content_length && f.id != FieldId::trailer;
}

// HEAD and 304 may say how long the body would have been; 1xx and 204 must not.
bool tellsLength(const ResponseHead& head) {
    return head.has_content_length && head.status >= 200 && head.status != 204;
}

void addFraming(HeadWriter& out, const ResponseHead& head, const Body& body) {
    if (body.kind == BodyKind::chunked) {
        out.add("Transfer-Encoding: chunked\r\n");
    } else if (tellsLength(head)) {
        out.add("Content-Length: "), out.addNumber(head.content_length), out.add("\r\n");
    }
}

void addConnection(HeadWriter& out, const ResponseHead& head, const ResponseForward& how) {
    if (head.interim()) return;
    if (head.status == 101) {
        if (!head.upgrade.empty()) out.addField("Upgrade", head.upgrade);
        out.add("Connection: Upgrade\r\n");
    } else if (!how.keep_alive) {
        out.add("Connection: close\r\n");
    } else if (how.client == http::Version::http10) {
        out.add("Connection: keep-alive\r\n");
    }
}

void addDate(HeadWriter& out, const ResponseHead& head, std::string_view date) {
    if (head.interim() || date.empty()) return;
    const Field* received = head.fields.find(FieldId::date);
    if (received == nullptr || received->drop) out.addField("Date", date);
}

}  // namespace

Body downstreamBody(const ResponseHead& head, http::Method method, http::Version client) {
    Body body = head.bodyFor(method);
    if (body.kind == BodyKind::chunked && client == http::Version::http10)
        body.kind = BodyKind::until_close;
    if (body.kind == BodyKind::until_close && client == http::Version::http11)
        body.kind = BodyKind::chunked;
    return body;
}

void writeResponseHead(HeadWriter& out, const ResponseHead& head, const ResponseForward& how) {
    const Body body = downstreamBody(head, how.method, how.client);
    addStatusLine(out, head);
    for (const Field& f : head.fields)
        if (passes(f)) out.addField(f.name(), f.value());
    addFraming(out, head, body);
    addDate(out, head, how.date);
    out.add(head.version == http::Version::http11 ? "Via: 1.1 " : "Via: 1.0 ");
    out.add(how.via_name), out.add("\r\n");
    addConnection(out, head, how);
    out.add("\r\n");
}

void writeChunkHead(HeadWriter& out, uint64_t payload_bytes) {
    out.addHex(payload_bytes), out.add("\r\n");
}

}  // namespace regrow::proxy
