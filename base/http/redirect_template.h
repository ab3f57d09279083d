#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace regrow::http {

// Where a redirect leads, with parts of the request in it: "https://{host}{path}{query}". Parsed
// when a configuration is loaded, so that nothing a client sends can change whose server it names:
//
// - `{host}` is the request's host without port, `{scheme}` http or https, `{path}` its path,
//   `{query}` its query with the '?', or nothing; `{rest}` what follows the route's own path.
// - It begins with a scheme, or with '/' and no variable right after it: "//evil.example" is an
//   address of its own to a browser, and a request's path may begin like that.
// - `{rest}` and `{query}` stand behind a '/' or `{path}` that ends the host: what follows
//   "https://example.org" directly could go on as ".evil.example".
struct RedirectPiece {
    enum class Kind : uint8_t { text, scheme, host, path, rest, query };
    Kind kind = Kind::text;
    std::string text = {};
};

Result<std::vector<RedirectPiece>> parseRedirect(std::string_view to);

}  // namespace regrow::http
