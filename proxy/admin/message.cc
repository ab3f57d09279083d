#include "proxy/admin/message.h"

#include <strings.h>

#include "base/json.h"
#include "base/text.h"

namespace regrow::admin {
namespace {

constexpr size_t kMaxSegments = 16;
constexpr size_t kMaxQuery = 32;

std::optional<std::string> percentDecode(std::string_view text, bool plus_is_space) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            out += ' ';
        } else if (text[i] == '%') {
            const auto byte = fromHex(text.substr(i + 1, 2));
            if (!byte || byte->size() != 1) return std::nullopt;
            out += *byte;
            i += 2;
        } else {
            out += text[i];
        }
    }
    if (out.find('\0') != std::string::npos) return std::nullopt;
    return out;
}

// Calls `part` for each piece between separators, empty ones left out; false as soon as `part` says
// so.
template <class Fn>
bool eachPart(std::string_view text, char separator, Fn&& part) {
    while (!text.empty()) {
        const auto end = text.find(separator);
        const auto piece = text.substr(0, end);
        if (!piece.empty() && !part(piece)) return false;
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return true;
}

bool readPath(std::string_view path, Request& request) {
    return eachPart(path, '/', [&](std::string_view piece) {
        auto segment = percentDecode(piece, false);
        if (!segment || request.path.size() == kMaxSegments) return false;
        request.path.push_back(*std::move(segment));
        return true;
    });
}

bool readQuery(std::string_view query, Request& request) {
    return eachPart(query, '&', [&](std::string_view piece) {
        const auto equals = piece.find('=');
        auto name = percentDecode(piece.substr(0, equals), true);
        auto value =
            percentDecode(equals == std::string_view::npos ? "" : piece.substr(equals + 1), true);
        if (!name || !value || request.query.size() == kMaxQuery) return false;
        request.query.emplace_back(*std::move(name), *std::move(value));
        return true;
    });
}

}  // namespace

std::string_view Request::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (key.size() == name.size() && ::strncasecmp(key.data(), name.data(), name.size()) == 0)
            return value;
    return {};
}

std::string Request::queryValue(std::string_view name) const {
    for (const auto& [key, value] : query)
        if (key == name) return value;
    return {};
}

Reply Reply::error(int status, std::string_view message, std::string_view code) {
    json::Writer w;
    w.beginObject().field("error", message).field("code", code).endObject();
    return {.status = status, .body = w.text(), .headers = {}};
}

std::optional<Request> parseTarget(std::string_view method, std::string_view target) {
    Request request;
    request.method = method;
    if (!target.starts_with('/')) return std::nullopt;
    target = target.substr(0, target.find('#'));
    const auto mark = target.find('?');
    if (!readPath(target.substr(0, mark), request)) return std::nullopt;
    if (mark != std::string_view::npos && !readQuery(target.substr(mark + 1), request))
        return std::nullopt;
    return request;
}

}  // namespace regrow::admin
