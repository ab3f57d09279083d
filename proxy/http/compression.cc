#include "proxy/http/compression.h"

#include <algorithm>

#include "base/http/chars.h"

namespace regrow::proxy {
namespace {

using http::equalsIgnoringCase;
using http::FieldId;
using http::trimBlanks;

// "q=0", "q=0.", "q=0.000": not acceptable (RFC 9110 12.4.2).
bool refused(std::string_view parameters) {
    while (!parameters.empty()) {
        const size_t end = std::min(parameters.find(';'), parameters.size());
        const std::string_view one = trimBlanks(parameters.substr(0, end));
        parameters.remove_prefix(std::min(end + 1, parameters.size()));
        if (one.size() < 3 || http::lower(one[0]) != 'q' || one[1] != '=') continue;
        const std::string_view weight = one.substr(2);
        return weight.front() == '0' && weight.find_first_of("123456789") == std::string_view::npos;
    }
    return false;
}

enum class Wish : uint8_t { unsaid, yes, no };

// What the list says of a coding, or of "*" when it does not name it.
Wish wishFor(std::string_view list, std::string_view coding) {
    Wish any = Wish::unsaid;
    std::string_view element;
    while (http::nextElement(list, element)) {
        const size_t end = std::min(element.find(';'), element.size());
        const std::string_view name = trimBlanks(element.substr(0, end));
        const Wish wish =
            refused(element.substr(std::min(end + 1, element.size()))) ? Wish::no : Wish::yes;
        if (equalsIgnoringCase(name, coding)) return wish;
        if (name == "*") any = wish;
    }
    return any;
}

// What was taken away (a route edits fields) is not there.
const http::Field* present(const http::FieldList& fields, FieldId id) {
    const auto* const f = std::ranges::find_if(
        fields, [&](const http::Field& field) { return field.id == id && !field.drop; });
    return f == fields.end() ? nullptr : f;
}

bool listNames(const http::FieldList& fields, FieldId id, std::string_view token) {
    for (const http::Field& f : fields) {
        if (f.id != id || f.drop) continue;
        std::string_view list = f.value(), element;
        while (http::nextElement(list, element))
            if (equalsIgnoringCase(trimBlanks(element), token)) return true;
    }
    return false;
}

// "text/*" takes all of text.
bool typeMatches(std::string_view type, const std::string& wanted) {
    const std::string_view pattern = wanted;
    if (!pattern.ends_with("/*")) return equalsIgnoringCase(type, pattern);
    const std::string_view family = pattern.substr(0, pattern.size() - 1);
    return type.size() > family.size() && equalsIgnoringCase(type.substr(0, family.size()), family);
}

}  // namespace

std::string_view textOf(conf::Coding coding) {
    switch (coding) {
        case conf::Coding::gzip: return "gzip";
        case conf::Coding::br: return "br";
        case conf::Coding::zstd: return "zstd";
        case conf::Coding::identity: break;
    }
    return "identity";
}

conf::Coding chooseCoding(std::string_view accept_encoding, const conf::Compression& preferred) {
    for (const conf::Coding coding : preferred.codings)
        if (wishFor(accept_encoding, textOf(coding)) == Wish::yes) return coding;
    return conf::Coding::identity;
}

bool forbidsTransforming(const http::FieldList& fields) {
    return listNames(fields, FieldId::cache_control, "no-transform");
}

bool compressible(const http::ResponseHead& head, http::Method method,
                  const conf::Compression& how) {
    const http::Body body = head.bodyFor(method);
    if (body.kind == http::BodyKind::none || body.kind == http::BodyKind::tunnel) return false;
    if (head.status < 200 || head.status == 206 || present(head.fields, FieldId::content_range) ||
        present(head.fields, FieldId::content_encoding))
        return false;
    if (head.has_content_length && head.content_length < how.min_bytes) return false;
    const http::Field* type = present(head.fields, FieldId::content_type);
    if (!type || forbidsTransforming(head.fields)) return false;
    const std::string_view name = trimBlanks(type->value().substr(0, type->value().find(';')));
    return std::ranges::any_of(how.types,
                               [&](const std::string& t) { return typeMatches(name, t); });
}

}  // namespace regrow::proxy
