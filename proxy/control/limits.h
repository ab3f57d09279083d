#pragma once

#include "conf/config.h"
#include "proxy/balance/view.h"

namespace regrow::control {

// What there is to share out: descriptors this process may have, and bytes of memory.
struct Machine {
    uint64_t descriptors = 1024;
    uint64_t memory = uint64_t{1} << 30;
    static Machine own();  // as it is now
};

// The limits of the process. Descriptors are kept back for what must work when clients have taken
// all of theirs: health checks, recoveries, backups, the admin endpoint, logs. Of the rest `auto`
// gives half to clients and half to backends. Pure.
LimitsView limitsView(const conf::Config& config, const Machine& machine);
// Descriptors that clients and backends never get.
uint64_t reserve(const conf::Config& config, const Machine& machine);

}  // namespace regrow::control
