#include "conf/schema.h"

namespace regrow::conf {
namespace {

constexpr Key kAcceptKeys[] = {
    {.name = "allow",
     .type = Type::texts,
     .help = "networks that may use this listener; empty = all that deny does not name",
     .fallback = "[]",
     .example = "[10.0.0.0/8]"},
    {.name = "deny",
     .type = Type::texts,
     .help = "networks that may not, even where allow names them",
     .fallback = "[]",
     .example = "[10.6.6.0/24]"},
    {.name = "connections_per_ip",
     .type = Type::integer,
     .help = "open connections of one address; 0 = no limit",
     .fallback = "0",
     .low = 0,
     .high = 1'000'000},
    {.name = "requests_per_second",
     .type = Type::integer,
     .help = "of one address, over time; beyond it 429; 0 = no limit",
     .fallback = "0",
     .low = 0,
     .high = 1'000'000},
    {.name = "burst",
     .type = Type::integer,
     .help = "requests that may come at once; default one second's",
     .example = "400",
     .low = 1,
     .high = 1'000'000,
     .commented = true},
    {.name = "concurrent_requests",
     .type = Type::integer,
     .help = "of one address under way; beyond it 429; 0 = no limit",
     .fallback = "0",
     .low = 0,
     .high = 1'000'000},
};

constexpr Key kLimitsKeys[] = {
    {.name = "connections",
     .type = Type::integer,
     .help = "clients at once; more wait in the backlog; auto = what descriptors allow",
     .fallback = "auto",
     .word = "auto",
     .low = 1,
     .high = 100'000'000},
    {.name = "memory",
     .type = Type::size,
     .help = "for requests and bodies on their way; beyond it 503; auto = 3/4 of the machine's",
     .fallback = "auto",
     .word = "auto",
     .low = int64_t{16} << 20,
     .high = int64_t{1} << 50},
};

}  // namespace

constinit const Section kAcceptSection{kAcceptKeys};
constinit const Section kLimitsSection{kLimitsKeys};

}  // namespace regrow::conf
