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
};
constinit const Section kTimeoutSection{kTimeoutKeys};

constexpr Key kRouteKeys[] = {
    {.name = "host",
     .type = Type::text,
     .help = "exact host name without port, or \"*\" for any",
     .fallback = "\"*\""},
    {.name = "path", .type = Type::text, .help = "prefix of the request path", .fallback = "/"},
    {.name = "pool",
     .type = Type::name,
     .help = "where matching requests go",
     .example = "app",
     .required = true},
};
constinit const Section kRouteSection{kRouteKeys};

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
     .choices = "http",
     .later = "tcp"},
    {.name = "timeouts",
     .type = Type::section,
     .help = "waiting for the client",
     .section = &kTimeoutSection},
    {.name = "trusted_proxies",
     .type = Type::texts,
     .help = "networks whose X-Forwarded-* fields are believed and extended; everybody else's are "
             "replaced",
     .fallback = "[]",
     .example = "[10.0.0.0/8]"},
    {.name = "routes",
     .type = Type::sections,
     .help = "the first match wins",
     .section = &kRouteSection,
     .required = true},
    {.name = "proxy_protocol", .type = Type::only, .choices = "off"},
    {.name = "h2c", .type = Type::only, .choices = "false|off"},
    {.name = "tls", .type = Type::unbuilt},
    {.name = "accept", .type = Type::unbuilt},
    {.name = "pool", .type = Type::unbuilt},
};

}  // namespace

constinit const Section kListenerSection{kListenerKeys};

}  // namespace regrow::conf
