#include "proxy/http/error_response.h"
#include "proxy/http/forward.h"
#include "proxy/http/response_fields.h"

namespace regrow::proxy {
namespace {

using http::Body;
using http::BodyKind;
using http::FieldId;
using http::ResponseHead;

void addStatusLine(HeadWriter& out, const ResponseHead& head) {
    out.add("HTTP/1.1 "), out.addNumber(head.status), out.add(' ');
    out.add(head.reason), out.add("\r\n");
}

// What the server would speak (RFC 9110 15.5.22); as everywhere, the field is named in Connection.
void addUpgrades(HeadWriter& out, const ResponseHead& head) {
    for (const http::Field& f : head.fields)
        if (f.id == FieldId::upgrade)
            out.addField("Upgrade", f.value()), out.add("Connection: Upgrade\r\n");
}

void addConnection(HeadWriter& out, const ResponseHead& head, const ResponseForward& how) {
    if (head.interim()) return;
    if (head.status == 101) {
        if (!head.upgrade.empty()) out.addField("Upgrade", head.upgrade);
        out.add("Connection: Upgrade\r\n");
        return;
    }
    if (head.status == 426 && how.client == http::Version::http11) addUpgrades(out, head);
    if (!how.keep_alive) {
        out.add("Connection: close\r\n");
    } else if (how.client == http::Version::http10) {
        out.add("Connection: keep-alive\r\n");
    }
}

}  // namespace

Body downstreamBody(const ResponseHead& head, http::Method method, http::Version client) {
    Body body = head.bodyFor(method);
    if (body.kind == BodyKind::chunked && client == http::Version::http10)
        body.kind = BodyKind::until_close;
    if (body.kind == BodyKind::until_close && client != http::Version::http10)
        body.kind = BodyKind::chunked;
    return body;
}

void writeResponseHead(HeadWriter& out, const ResponseHead& head, const ResponseForward& how) {
    addStatusLine(out, head);
    ResponseText text;
    visitResponseFields(head, how, text, [&](std::string_view name, std::string_view value) {
        out.addField(name, value);
    });
    if (downstreamBody(head, how.method, how.client).kind == BodyKind::chunked)
        out.add("Transfer-Encoding: chunked\r\n");
    addConnection(out, head, how);
    out.add("\r\n");
}

bool allowedInTrailers(std::string_view name) {
    const FieldId id = http::fieldIdOf(name);
    const bool hop = id >= FieldId::connection && id <= FieldId::expect;
    const bool vouched = id >= FieldId::via && id <= FieldId::proxy;
    const bool control = id == FieldId::trailer || id == FieldId::max_forwards ||
                         id == FieldId::authorization || id == FieldId::cookie ||
                         id == FieldId::set_cookie || id == FieldId::content_encoding ||
                         id == FieldId::content_type || id == FieldId::content_range;
    return !hop && !vouched && !control && name.find('_') == std::string_view::npos;
}

void writeChunkHead(HeadWriter& out, uint64_t payload_bytes) {
    out.addHex(payload_bytes), out.add("\r\n");
}

}  // namespace regrow::proxy
