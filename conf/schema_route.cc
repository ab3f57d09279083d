#include "conf/schema.h"

namespace regrow::conf {
namespace {

constexpr Key kRedirectKeys[] = {
    {.name = "to",
     .type = Type::text,
     .help = "the new address; {scheme}, {host}, {path}, {rest} and {query} are the request's",
     .example = "\"https://{host}{path}{query}\"",
     .required = true},
    {.name = "status",
     .type = Type::choice,
     .help = "301 and 308 are kept by browsers; 307 and 308 keep the method",
     .fallback = "302",
     .choices = "301|302|303|307|308"},
};
constinit const Section kRedirectSection{kRedirectKeys};

constexpr Key kRespondKeys[] = {
    {.name = "status",
     .type = Type::integer,
     .help = "of the answer",
     .fallback = "200",
     .low = 200,
     .high = 599},
    {.name = "body", .type = Type::text, .help = "what is sent", .example = "gone fishing"},
    {.name = "content_type",
     .type = Type::text,
     .help = "of the body",
     .fallback = "text/plain; charset=utf-8"},
};
constinit const Section kRespondSection{kRespondKeys};

constexpr Key kRewriteKeys[] = {
    {.name = "prefix",
     .type = Type::text,
     .help = "what the backend gets in place of `path`; / strips it",
     .example = "/",
     .required = true},
};
constinit const Section kRewriteSection{kRewriteKeys};

constexpr Key kEditKeys[] = {
    {.name = "set",
     .type = Type::pairs,
     .help = "fields that take the place of all of their name",
     .example = "{X-Served-By: regrow}"},
    {.name = "add",
     .type = Type::pairs,
     .help = "fields beside those that came",
     .example = "{Cache-Control: private}"},
    {.name = "remove",
     .type = Type::texts,
     .help = "names of fields that do not go on",
     .example = "[X-Debug]"},
};
constinit const Section kEditSection{kEditKeys};

constexpr Key kTimeoutKeys[] = {
    {.name = "first_byte",
     .type = Type::duration,
     .help = "for the answer to begin; the pool's when absent",
     .example = "5m",
     .low = 1},
    {.name = "idle",
     .type = Type::duration,
     .help = "longest silence within an answer; the pool's when absent",
     .example = "10m",
     .low = 1},
};
constinit const Section kTimeoutSection{kTimeoutKeys};

constexpr Key kRetryKeys[] = {
    {.name = "attempts",
     .type = Type::integer,
     .help = "tries at a request, the first included; the pool's when absent",
     .example = "1",
     .low = 1,
     .high = 10},
    {.name = "on",
     .type = Type::choices_list,
     .help = "what is retried; the pool's when absent",
     .example = "[unsent]",
     .choices = "unsent|no_answer|503|5xx"},
    {.name = "hedge",
     .type = Type::boolean,
     .help = "ask a second backend when the first takes long; the pool's when absent",
     .example = "true"},
};
constinit const Section kRetrySection{kRetryKeys};

constexpr Key kBasicAuthKeys[] = {
    {.name = "realm",
     .type = Type::text,
     .help = "what the browser's question says",
     .fallback = "regrow"},
    {.name = "users_file",
     .type = Type::path,
     .help = "NAME:HASH, one a line, as `htpasswd -B` and `mkpasswd` write them",
     .example = "/etc/regrow/users",
     .required = true},
    {.name = "pass",
     .type = Type::boolean,
     .help = "whether the backend gets the password too",
     .fallback = "false"},
};
constinit const Section kBasicAuthSection{kBasicAuthKeys};

constexpr Key kRouteKeys[] = {
    {.name = "host",
     .type = Type::text,
     .help = "host name without port, \"*.example.org\" for all below it, or \"*\" for any",
     .fallback = "\"*\""},
    {.name = "path", .type = Type::text, .help = "prefix of the request path", .fallback = "/"},
    {.name = "exact",
     .type = Type::text,
     .help = "the whole request path, in place of path",
     .example = "/robots.txt"},
    {.name = "method",
     .type = Type::names,
     .help = "only these methods: one, or a list",
     .example = "[GET, HEAD]"},
    {.name = "header",
     .type = Type::pairs,
     .help = "only with these fields, of that value; \"*\" is any value",
     .example = "{X-Beta: \"*\"}"},
    {.name = "pool",
     .type = Type::name,
     .help = "where matching requests go; or redirect, or respond",
     .example = "app",
     .shown = true},
    {.name = "redirect",
     .type = Type::section,
     .help = "matching requests are sent elsewhere",
     .section = &kRedirectSection,
     .commented = true},
    {.name = "respond",
     .type = Type::section,
     .help = "matching requests get this answer",
     .section = &kRespondSection,
     .commented = true},
    {.name = "rewrite",
     .type = Type::section,
     .help = "the path as the backend gets it",
     .section = &kRewriteSection,
     .commented = true},
    {.name = "request_headers",
     .type = Type::section,
     .help = "fields changed on the way to the backend",
     .section = &kEditSection,
     .commented = true},
    {.name = "response_headers",
     .type = Type::section,
     .help = "fields changed on the way to the client, in our own answers too",
     .section = &kEditSection,
     .commented = true},
    {.name = "timeouts",
     .type = Type::section,
     .help = "in place of the pool's",
     .section = &kTimeoutSection,
     .commented = true},
    {.name = "retry",
     .type = Type::section,
     .help = "in place of the pool's",
     .section = &kRetrySection,
     .commented = true},
    {.name = "max_body",
     .type = Type::size,
     .help = "largest request body; a larger one is answered 413",
     .example = "100MiB"},
    {.name = "basic_auth",
     .type = Type::section,
     .help = "only for who has a password",
     .section = &kBasicAuthSection,
     .commented = true},
    {.name = "allow",
     .type = Type::texts,
     .help = "networks that may ask; everybody when empty",
     .fallback = "[]",
     .example = "[10.0.0.0/8]"},
    {.name = "deny",
     .type = Type::texts,
     .help = "networks that may not, even if allowed",
     .fallback = "[]",
     .example = "[10.6.6.0/24]"},
    {.name = "error_pages",
     .type = Type::pairs,
     .help = "files in place of our own short error texts, by status or class",
     .example = "{503: /etc/regrow/503.html}"},
};

}  // namespace

constinit const Section kRouteSection{kRouteKeys};

}  // namespace regrow::conf
