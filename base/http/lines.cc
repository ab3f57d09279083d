#include "base/http/lines.h"

#include "base/http/chars.h"

namespace regrow::http {
namespace {

constexpr size_t kMaxNameBytes = 256;
constexpr std::string_view kVersionStart = "HTTP/1.";

Flaw readVersion(std::string_view text, Version& version) {
    if (text.size() == 8 && text.starts_with(kVersionStart) && (text[7] == '0' || text[7] == '1')) {
        version = text[7] == '1' ? Version::http11 : Version::http10;
        return Flaw::none;
    }
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    const bool other = text.size() == 8 && text.starts_with("HTTP/") && digit(text[5]) &&
                       text[6] == '.' && digit(text[7]);
    return other ? Flaw::unsupported_version : Flaw::bad_version;
}

// A server that takes '_' for '-' (CGI and its heirs) would read this as a name the proxy vouches
// for.
bool isAlias(std::string_view name) {
    std::array<char, 32> dashed{};
    if (name.size() > dashed.size()) return false;
    for (size_t i = 0; i < name.size(); ++i) dashed[i] = name[i] == '_' ? '-' : name[i];
    return fieldIdOf({dashed.data(), name.size()}) != FieldId::other;
}

bool staysOnItsConnection(FieldId id) {
    return id >= FieldId::connection && id <= FieldId::http2_settings;
}

Flaw flawOfName(std::string_view line, size_t stop) {
    if (stop == line.size()) return Flaw::missing_colon;
    if (line[stop] != ' ' && line[stop] != '\t') return Flaw::bad_field_name;
    const size_t next = line.find_first_not_of(" \t", stop);
    return next != std::string_view::npos && line[next] == ':' ? Flaw::space_before_colon
                                                               : Flaw::bad_field_name;
}

}  // namespace

Flaw readRequestLine(std::string_view line, RequestHead& head, const HeadLimits& limits) {
    const size_t first = line.find(' ');
    head.method_text = line.substr(0, first);
    if (!all(head.method_text, kToken)) return Flaw::bad_method;
    if (head.method_text.size() > limits.method_bytes) return Flaw::method_too_long;
    if (first == std::string_view::npos) return Flaw::bad_target;
    const size_t second = line.find(' ', first + 1);
    head.target =
        line.substr(first + 1, second == std::string_view::npos ? second : second - first - 1);
    if (head.target.size() > limits.target_bytes) return Flaw::target_too_long;
    if (second == std::string_view::npos) return Flaw::bad_version;
    if (const Flaw flaw = readVersion(line.substr(second + 1), head.version); flaw != Flaw::none)
        return flaw;
    head.method = methodOf(head.method_text);
    return readTarget(head);
}

// "HTTP/1.1 200 OK". Without a reason, the blank before it is often left out; that cannot be
// misread.
Flaw readStatusLine(std::string_view line, ResponseHead& head) {
    if (const Flaw flaw = readVersion(line.substr(0, 8), head.version); flaw != Flaw::none)
        return flaw;
    if (line.size() < 12 || line[8] != ' ' || (line.size() > 12 && line[12] != ' '))
        return Flaw::bad_status;
    uint16_t status = 0;
    for (const char c : line.substr(9, 3)) {
        if (c < '0' || c > '9') return Flaw::bad_status;
        status = static_cast<uint16_t>(status * 10 + (c - '0'));
    }
    if (status < 100 || status > 599) return Flaw::bad_status;
    head.status = status;
    head.reason = line.size() > 13 ? line.substr(13) : line.substr(line.size());
    return Flaw::none;
}

Flaw readFieldLine(std::string_view line, FieldList& fields, const HeadLimits& limits) {
    if (line.front() == ' ' || line.front() == '\t') return Flaw::obs_fold;
    size_t colon = 0;
    while (colon < line.size() && is(line[colon], kToken)) ++colon;
    if (colon == line.size() || line[colon] != ':') return flawOfName(line, colon);
    if (colon == 0) return Flaw::bad_field_name;
    return addField(line.substr(0, colon), trimBlanks(line.substr(colon + 1)), fields, limits);
}

Flaw addField(std::string_view name, std::string_view value, FieldList& fields,
              const HeadLimits& limits) {
    if (name.size() > kMaxNameBytes) return Flaw::field_too_large;
    Field field{name.data(),
                value.data(),
                static_cast<uint32_t>(value.size()),
                static_cast<uint16_t>(name.size()),
                fieldIdOf(name),
                false};
    field.drop = staysOnItsConnection(field.id) ||
                 (name.find('_') != std::string_view::npos && isAlias(name));
    if (fields.size() >= limits.fields || !fields.add(field)) return Flaw::too_many_fields;
    return Flaw::none;
}

}  // namespace regrow::http
