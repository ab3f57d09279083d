#pragma once

#include "conf/config.h"
#include "conf/problems.h"
#include "conf/tree.h"

namespace regrow::conf {

// Reads the files that routes name (passwords, error pages) and complains, at the key that names
// it, of what cannot be used. Looks at the disk: for who runs the configuration.
void checkRouteFiles(const Config& config, const Node& root, Problems& problems);

inline constexpr size_t kErrorPageLimit = size_t{1} << 20;

}  // namespace regrow::conf
