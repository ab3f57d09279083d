#include "conf/fields.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>

#include "base/http/chars.h"
#include "base/http/field.h"

namespace regrow::conf {
namespace {

using http::FieldId;

constexpr size_t kLongestName = 128;
constexpr size_t kLongestValue = 4096;

std::unexpected<Error> wrong(std::string why) {
    return fail(Code::invalid, Source::config, std::move(why));
}

bool frames(FieldId id) {
    return id == FieldId::content_length || id == FieldId::expect || id == FieldId::trailer ||
           id == FieldId::max_forwards;
}

bool vouches(FieldId id) {
    return id == FieldId::via || id == FieldId::forwarded || id == FieldId::x_forwarded_for ||
           id == FieldId::x_forwarded_proto || id == FieldId::x_forwarded_host ||
           id == FieldId::client_cert || id == FieldId::proxy;
}

// Servers that make variables of field names take '_' for '-'.
FieldId meantBy(std::string_view name) {
    std::string plain(name);
    std::ranges::replace(plain, '_', '-');
    return http::fieldIdOf(plain);
}

}  // namespace

bool belongsToConnection(FieldId id) {
    return id >= FieldId::connection && id <= FieldId::http2_settings;
}

Result<> checkFieldEdit(std::string_view name, Side side) {
    if (!http::all(name, http::kToken) || name.size() > kLongestName)
        return wrong(
            fmt::format("holds '{}', which is no field name; use letters, digits and '-'", name));
    const FieldId id = meantBy(name);
    if (belongsToConnection(id))
        return wrong(
            fmt::format("holds {}, which concerns one connection and is regrow's to "
                        "write; remove it",
                        name));
    if (frames(id))
        return wrong(
            fmt::format("holds {}, which says where a message ends or how far it goes, "
                        "and is regrow's to write; remove it",
                        name));
    if (vouches(id))
        return wrong(
            fmt::format("holds {}, which tells where a message came from and is "
                        "regrow's to write; remove it (trusted_proxies says whose is "
                        "believed)",
                        name));
    if (id == FieldId::date && side == Side::response)
        return wrong("holds Date, which is of who answers; remove it");
    if (id == FieldId::host && side == Side::response)
        return wrong("holds Host, which no response has; remove it");
    return {};
}

Result<> checkFieldValue(std::string_view value) {
    if (value.size() > kLongestValue)
        return wrong(fmt::format("has a value longer than {} bytes; shorten it", kLongestValue));
    if (value != http::trimBlanks(value))
        return wrong("has a value with blanks around it; remove them");
    const auto control = [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    };
    if (std::ranges::any_of(value, control))
        return wrong("has a value with line ends or control characters; remove them");
    return {};
}

Result<> checkPath(std::string_view path) {
    if (!path.starts_with('/') || path.starts_with("//") || !http::all(path, http::kPathChar) ||
        path.find('%') != std::string_view::npos)
        return wrong("must be a plain path that begins with one '/', without '?', '%' or blanks");
    for (std::string_view rest = path; !rest.empty();) {
        rest.remove_prefix(1);
        const std::string_view segment = rest.substr(0, rest.find_first_of("/;"));
        if (segment == "." || segment == "..")
            return wrong("must not hold '.' or '..' as a segment; write the path they lead to");
        rest.remove_prefix(segment.size());
    }
    return {};
}

}  // namespace regrow::conf
