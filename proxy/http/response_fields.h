#pragma once

#include <array>
#include <string_view>

#include "proxy/http/forward.h"

namespace regrow::proxy {

// HEAD and 304 may say how long the body would have been; 1xx and 204 must not.
inline bool tellsLength(const http::ResponseHead& head) {
    return head.has_content_length && head.status >= 200 && head.status != 204;
}

// Memory for the values that are not the backend's own. What is taken stays good as long as this.
struct ResponseText {
    std::array<char, 20> length;
    std::array<char, 64> via;
};

// The fields of a response that are the same in every version of HTTP, in the order in which they
// go out: what the backend said and may pass, the length, Date, Via. `take(name, value)` for each.
template <class Take>
void visitResponseFields(const http::ResponseHead& head, const ResponseForward& how,
                         ResponseText& text, Take&& take) {
    using http::FieldId;
    const bool chunked =
        downstreamBody(head, how.method, how.client).kind == http::BodyKind::chunked;
    bool dated = head.interim() || how.date.empty();
    for (const http::Field& f : head.fields) {
        if (f.drop || f.id == FieldId::content_length) continue;
        if (f.id == FieldId::trailer && !(how.trailers && chunked)) continue;
        dated |= f.id == FieldId::date;
        take(f.name(), f.value());
    }
    if (!chunked && tellsLength(head)) {
        HeadWriter number(text.length.data(), text.length.size());
        number.addNumber(head.content_length);
        take("Content-Length", number.text());
    }
    if (!dated) take("Date", how.date);
    if (!how.set_cookie.empty()) take("Set-Cookie", how.set_cookie);
    if (how.via_name.empty()) return;  // our own answer
    HeadWriter via(text.via.data(), text.via.size());
    via.add(http::numberOf(head.version)), via.add(' '), via.add(how.via_name);
    take("Via", via.text());
}

}  // namespace regrow::proxy
