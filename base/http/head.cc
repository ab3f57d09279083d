#include "base/http/head.h"

namespace regrow::http {
namespace {

void move(std::string_view& view, const char* old_base, const char* new_base) {
    if (view.data() != nullptr) view = {new_base + (view.data() - old_base), view.size()};
}

}  // namespace

Method methodOf(std::string_view text) {
    switch (text.size()) {
        case 3: return text == "GET" ? Method::get : text == "PUT" ? Method::put : Method::other;
        case 4:
            return text == "POST" ? Method::post : text == "HEAD" ? Method::head : Method::other;
        case 5:
            return text == "PATCH"   ? Method::patch
                   : text == "TRACE" ? Method::trace
                                     : Method::other;
        case 6: return text == "DELETE" ? Method::del : Method::other;
        case 7:
            return text == "OPTIONS"   ? Method::options
                   : text == "CONNECT" ? Method::connect
                                       : Method::other;
        default: return Method::other;
    }
}

std::string_view textOf(Version version) {
    constexpr std::string_view kTexts[] = {"HTTP/1.0", "HTTP/1.1", "HTTP/2.0"};
    return kTexts[static_cast<size_t>(version)];
}

std::string_view numberOf(Version version) {
    return textOf(version).substr(5);
}

bool isSafe(Method m) {
    return m == Method::get || m == Method::head || m == Method::options || m == Method::trace;
}

bool isIdempotent(Method m) {
    return isSafe(m) || m == Method::put || m == Method::del;
}

void RequestHead::clear() {
    fields.clear();
    method = Method::other;
    version = Version::http11;
    form = TargetForm::origin;
    method_text = target = path = query = authority = host = upgrade = {};
    port = 0;
    body = {};
    has_content_length = keep_alive = expect_continue = te_trailers = false;
}

void RequestHead::rebase(const char* old_base, const char* new_base) {
    for (std::string_view* view :
         {&method_text, &target, &path, &query, &authority, &host, &upgrade})
        move(*view, old_base, new_base);
    fields.rebase(old_base, new_base);
}

Body ResponseHead::bodyFor(Method request) const {
    if (status == 101) return {BodyKind::tunnel, 0};
    if (request == Method::head || status < 200 || status == 204 || status == 304) return {};
    if (chunked) return {BodyKind::chunked, 0};
    if (!has_content_length) return {BodyKind::until_close, 0};
    return content_length == 0 ? Body{} : Body{BodyKind::length, content_length};
}

void ResponseHead::clear() {
    fields.clear();
    status = 0;
    version = Version::http11;
    reason = upgrade = {};
    content_length = 0;
    has_content_length = chunked = keep_alive = false;
}

void ResponseHead::rebase(const char* old_base, const char* new_base) {
    move(reason, old_base, new_base);
    move(upgrade, old_base, new_base);
    fields.rebase(old_base, new_base);
}

}  // namespace regrow::http
