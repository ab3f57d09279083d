#include "conf/schema.h"

namespace regrow::conf {
namespace {

constexpr Key kHashKeys[] = {
    {.name = "on",
     .type = Type::text,
     .help = "what a request's backend depends on: ip, path, header NAME or cookie NAME",
     .example = "ip",
     .required = true},
    {.name = "bound",
     .type = Type::percent,
     .help = "most of its average share that a backend takes; what is beyond goes to the next",
     .fallback = "125%",
     .low = 101,
     .high = 10'000},
};
constinit const Section kHashSection{kHashKeys};

constexpr Key kBalanceKeys[] = {
    {.name = "hash",
     .type = Type::section,
     .help = "equal requests go to the same backend",
     .section = &kHashSection,
     .required = true},
};

constexpr Key kAffinityKeys[] = {
    {.name = "cookie",
     .type = Type::text,
     .help = "name of the cookie that ties a client to the backend it was served by first",
     .example = "regrow_app",
     .required = true},
};

}  // namespace

constinit const Section kBalanceSection{kBalanceKeys};
constinit const Section kAffinitySection{kAffinityKeys};

}  // namespace regrow::conf
