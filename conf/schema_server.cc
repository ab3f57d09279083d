#include "conf/schema.h"

namespace regrow::conf {
namespace {

constexpr Key kServiceKeys[] = {
    {.name = "run",
     .type = Type::argv,
     .help = "program regrow supervises in the foreground",
     .example = "[/usr/bin/app, --data, /srv/app-1]"},
    {.name = "user",
     .type = Type::text,
     .help = "with run: user it runs as; default regrow's own",
     .example = "app"},
    {.name = "directory",
     .type = Type::path,
     .help = "with run: working directory; default regrow's own",
     .example = "/srv/app-1"},
    {.name = "environment",
     .type = Type::environment,
     .help = "with run: variables added to regrow's own",
     .fallback = "{}",
     .example = "{APP_MODE: production}",
     .commented = true},
    {.name = "log",
     .type = Type::path,
     .help = "with run: file its output is appended to; default STATE_DIR/logs/SERVER.log",
     .example = "/var/log/app-1.log"},
    {.name = "restart",
     .type = Type::integer,
     .help = "with run: restarts in place before a recovery, or never",
     .fallback = "1",
     .word = "never",
     .low = 0,
     .high = 100,
     .commented = true},
    {.name = "start",
     .type = Type::argv,
     .help = "or somebody else's supervisor: starts the server",
     .example = "[systemctl, start, app@1]",
     .commented = true},
    {.name = "stop",
     .type = Type::argv,
     .help = "with start: stops it",
     .example = "[systemctl, stop, app@1]",
     .commented = true},
    {.name = "status",
     .type = Type::argv,
     .help = "with start: exits with 0 while it runs",
     .example = "[systemctl, is-active, --quiet, app@1]",
     .commented = true},
};

constexpr Key kAddressKey{.name = "address",
                          .type = Type::endpoint,
                          .help = "where it is reached: numeric, a name and a port, or unix:/path",
                          .example = "127.0.0.1:9001",
                          .required = true};
constexpr Key kDataKey{.name = "data",
                       .type = Type::path,
                       .help = "directory that is backed up and restored",
                       .example = "/srv/app-1"};
constexpr Key kServiceKey{.name = "service",
                          .type = Type::section,
                          .help = "how it is started and stopped",
                          .section = &kServiceSection,
                          .commented = true};
constexpr Key kAgentKey{.name = "agent", .type = Type::unbuilt};

constexpr Key kBackendKeys[] = {
    {.name = "name",
     .type = Type::name,
     .help = "the place; stays when the server under it changes",
     .example = "app-1",
     .required = true},
    kAddressKey,
    {.name = "weight",
     .type = Type::integer,
     .help = "its share of requests; 0 = none",
     .fallback = "1",
     .low = 0,
     .high = 256},
    {.name = "max_connections",
     .type = Type::integer,
     .help = "beyond it requests queue; 0 = no limit",
     .fallback = "0",
     .low = 0,
     .high = 1'000'000},
    {.name = "priority",
     .type = Type::integer,
     .help = "higher ones get requests only while no lower one accepts",
     .fallback = "0",
     .low = 0,
     .high = 100},
    kDataKey,
    kServiceKey,
    {.name = "server",
     .type = Type::name,
     .help = "name of the server that fills this place at first; default the backend's",
     .example = "app-1"},
    kAgentKey,
};

constexpr Key kSpareKeys[] = {
    {.name = "name",
     .type = Type::name,
     .help = "the server's name",
     .example = "app-spare",
     .required = true},
    {.name = "address",
     .type = Type::endpoint,
     .help = "where it will be reached",
     .example = "127.0.0.1:9002",
     .required = true},
    {.name = "data",
     .type = Type::path,
     .help = "empty or absent directory that a backup is restored to",
     .example = "/srv/app-spare"},
    kServiceKey,
    kAgentKey,
};

}  // namespace

constinit const Section kServiceSection{kServiceKeys};
constinit const Section kBackendSection{kBackendKeys};
constinit const Section kSpareSection{kSpareKeys};

}  // namespace regrow::conf
