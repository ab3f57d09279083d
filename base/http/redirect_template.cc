#include "base/http/redirect_template.h"

#include <fmt/core.h>

#include <array>
#include <optional>

#include "base/http/chars.h"

namespace regrow::http {
namespace {

using Kind = RedirectPiece::Kind;

constexpr size_t kLongest = 2048;

struct Variable {
    std::string_view name;
    Kind kind;
};
constexpr std::array kVariables = {Variable{"{scheme}", Kind::scheme},
                                   Variable{"{host}", Kind::host}, Variable{"{path}", Kind::path},
                                   Variable{"{rest}", Kind::rest},
                                   Variable{"{query}", Kind::query}};

std::unexpected<Error> wrong(std::string why) {
    return fail(Code::invalid, Source::config, std::move(why));
}

const Variable* variableAt(std::string_view text) {
    for (const Variable& v : kVariables)
        if (text.starts_with(v.name)) return &v;
    return nullptr;
}

bool mayStand(char c) {
    return c != '{' && c != '}' && c != '\\' && (c == '#' || c == '?' || is(c, kQueryChar));
}

Result<std::vector<RedirectPiece>> split(std::string_view to) {
    std::vector<RedirectPiece> pieces;
    while (!to.empty()) {
        if (const Variable* v = variableAt(to)) {
            pieces.push_back({v->kind});
            to.remove_prefix(v->name.size());
            continue;
        }
        if (to[0] == '{' || to[0] == '}')
            return wrong(
                "'{' begins one of {scheme}, {host}, {path}, {rest} and {query}, and nothing else");
        if (!mayStand(to[0]))
            return wrong(
                "a URL holds no blanks, quotes, backslashes or other than ASCII "
                "characters; percent-encode them");
        if (pieces.empty() || pieces.back().kind != Kind::text) pieces.push_back({Kind::text});
        pieces.back().text += to[0];
        to.remove_prefix(1);
    }
    return pieces;
}

// The pieces behind "http://", "https://" or "{scheme}://"; nothing when it begins otherwise. The
// text of the first is cut there.
std::optional<std::vector<RedirectPiece>> behindScheme(std::vector<RedirectPiece> pieces) {
    size_t first = 0;
    std::string_view scheme;
    if (pieces[0].kind == Kind::scheme && pieces.size() > 1) {
        first = 1;
        scheme = "://";
    } else if (pieces[0].text.starts_with("https://")) {
        scheme = "https://";
    } else {
        scheme = "http://";
    }
    if (!pieces[first].text.starts_with(scheme)) return std::nullopt;
    pieces[first].text.erase(0, scheme.size());
    pieces.erase(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(first));
    return pieces;
}

bool isAuthority(std::string_view text) {
    for (const char c : text)
        if (!is(c, kHostChar) && c != ':' && c != '[' && c != ']') return false;
    return true;
}

// Of what stands behind the scheme: the host, up to what ends it.
Result<> checkAuthority(const std::vector<RedirectPiece>& pieces) {
    bool any = false;
    for (const RedirectPiece& p : pieces) {
        const size_t end = p.text.find_first_of("/?#");
        any = any || p.kind == Kind::host || (p.kind == Kind::text && end != 0 && !p.text.empty());
        if (p.kind == Kind::rest || p.kind == Kind::query || p.kind == Kind::scheme)
            return wrong(
                "no variable but {host} may stand in the host; end the host with '/' or "
                "{path} first");
        if (p.kind == Kind::text && !isAuthority(std::string_view(p.text).substr(0, end)))
            return wrong("the host holds only letters, digits, '-', '.', a port, or {host}");
        if (p.kind == Kind::path || end != std::string::npos) break;
    }
    if (!any) return wrong("no host follows the scheme; write for example https://{host}{path}");
    return {};
}

}  // namespace

Result<std::vector<RedirectPiece>> parseRedirect(std::string_view to) {
    if (to.empty()) return wrong("it is empty");
    if (to.size() > kLongest) return wrong(fmt::format("it is longer than {} bytes", kLongest));
    REGROW_TRY(auto pieces, split(to));
    if (to[0] == '/') {
        if (to.size() > 1 && (to[1] == '/' || to[1] == '{'))
            return wrong(
                "what follows the first '/' must be plain text, or it could name another "
                "host; write {scheme}://{host}/…");
        return pieces;
    }
    const auto behind = behindScheme(pieces);
    if (!behind)
        return wrong(
            "it must begin with https://, http://, {scheme}:// or '/' (and not with a "
            "variable: what a client sends could then name another host)");
    REGROW_CHECK(checkAuthority(*behind));
    return pieces;
}

}  // namespace regrow::http
