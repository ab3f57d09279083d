#pragma once

#include "conf/config.h"
#include "proxy/recovery/types.h"

namespace regrow::recovery {

// What the machine must know of the configuration: the pool's, and that of the service whose
// restart in place is in question. Deadlines that wait for checks get the time those checks need on
// top.
Policy policyFor(const conf::Pool& pool, const conf::Service& service);

}  // namespace regrow::recovery
