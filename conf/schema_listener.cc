#include "conf/schema.h"

namespace regrow::conf {
namespace {

constexpr Key kTimeoutKeys[] = {
    {.name = "header",
     .type = Type::duration,
     .help = "for a whole request head to arrive",
     .fallback = "10s",
     .low = 1},
    {.name = "idle",
     .type = Type::duration,
     .help = "a connection may wait between requests",
     .fallback = "60s",
     .low = 1},
    {.name = "body",
     .type = Type::duration,
     .help = "longest silence while a body is under way",
     .fallback = "30s",
     .low = 1},
    {.name = "request",
     .type = Type::duration,
     .help = "for a whole request with its response, however much moves",
     .fallback = "off",
     .word = "off",
     .low = 1},
};
constinit const Section kTimeoutSection{kTimeoutKeys};

constexpr Key kListenerKeys[] = {
    {.name = "listen",
     .type = Type::address,
     .help = "address to bind: 0.0.0.0:8080, [::]:8080 or unix:/path",
     .example = "127.0.0.1:8080",
     .required = true},
    {.name = "mode",
     .type = Type::choice,
     .help = "what is spoken here",
     .fallback = "http",
     .choices = "http|tcp"},
    {.name = "pool",
     .type = Type::name,
     .help = "with mode: tcp, instead of routes: where every connection goes",
     .example = "app",
     .commented = true},
    {.name = "unix_mode",
     .type = Type::text,
     .help = "with listen: unix:/path, who may connect, as chmod writes it",
     .fallback = "0660"},
    {.name = "timeouts",
     .type = Type::section,
     .help = "waiting for the client",
     .section = &kTimeoutSection},
    {.name = "trusted_proxies",
     .type = Type::texts,
     .help =
         "networks, or unix for peers on a unix socket, whose X-Forwarded-* fields are believed "
         "and extended; everybody else's are replaced",
     .fallback = "[]",
     .example = "[10.0.0.0/8]"},
    {.name = "routes",
     .type = Type::sections,
     .help = "the first match wins",
     .section = &kRouteSection},
    {.name = "error_pages",
     .type = Type::pairs,
     .help = "files in place of our own short error texts, by status or class",
     .example = "{503: /etc/regrow/503.html, 5xx: /etc/regrow/error.html}"},
    {.name = "proxy_protocol",
     .type = Type::choice,
     .help = "each connection begins with a PROXY header, taken only from trusted_proxies",
     .fallback = "off",
     .choices = "off|v1|v2|any"},
    {.name = "h2c",
     .type = Type::boolean,
     .help = "HTTP/2 without TLS, for clients that know they may (beside HTTP/1.1)",
     .fallback = "false"},
    {.name = "tls",
     .type = Type::one_or_more,
     .help = "HTTPS: one certificate, or a list chosen by the name a client asks for (SNI)",
     .section = &kListenerTlsSection,
     .commented = true},
    {.name = "accept",
     .type = Type::section,
     .help = "who may come, and how much of one address is taken",
     .section = &kAcceptSection},
};

}  // namespace

constinit const Section kListenerSection{kListenerKeys};

}  // namespace regrow::conf
