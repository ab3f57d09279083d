#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "proxy/balance/route_table.h"

namespace regrow::control {

// Each listener's routes for the workers, with the files they name. Once for each configuration,
// not for each view: there may be thousands. Fails when a file cannot be read; checked before, but
// files change.
Result<std::vector<std::shared_ptr<const RouteTable>>> buildRoutes(const conf::Config& config);

}  // namespace regrow::control
