#include "base/http/redirect_template.h"

#include <catch2/catch.hpp>

using namespace regrow::http;

TEST_CASE("redirects that name their host themselves") {
    for (const char* to :
         {"https://example.org/", "https://{host}{path}{query}", "{scheme}://{host}:8443{path}",
          "/new/{rest}", "/", "/login?from={path}", "http://[::1]:80/{rest}", "https://example.org",
          "https://{host}/x{rest}{query}#top"}) {
        INFO(to);
        CHECK(parseRedirect(to).has_value());
    }
}

TEST_CASE("redirects by which a client could name the host are refused") {
    for (const char* to :
         {"", "//evil.example/", "/{path}", "{path}", "/{rest}", "https://{path}", "https://",
          "https:///x", "https://example.org{rest}", "https://example.org{query}",
          "https://user@example.org/", "https://{host}{rest}", "javascript:alert(1)",
          "ftp://example.org/", "example.org", "https://{scheme}/", "{scheme}", "{host}/x"}) {
        INFO(to);
        CHECK_FALSE(parseRedirect(to).has_value());
    }
}

TEST_CASE("redirects of the wrong form are refused") {
    for (const char* to : {"/a b", "/a\r\nSet-Cookie: x", "/{who}", "/a}", "/\"", "/\\evil"}) {
        INFO(to);
        CHECK_FALSE(parseRedirect(to).has_value());
    }
    CHECK_FALSE(parseRedirect("/" + std::string(3000, 'a')).has_value());
}
