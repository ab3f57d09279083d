#pragma once

#include "conf/config.h"
#include "conf/problems.h"
#include "conf/tree.h"

// What no single key can show: names that must exist, addresses and directories that must not meet.
// Each takes the whole configuration and the tree it was read from, for the places. Values that
// could not be read are empty here and are passed over: their own problem has been reported.
namespace regrow::conf {

void validate(const Config& config, const Node& root, Problems& problems);

void validateListeners(const Config& config, const Node& root,
                       Problems& problems);  // listeners, admin
void validateRoutes(const Config& config, const Node& root, Problems& problems);
void validateServers(const Config& config, const Node& root,
                     Problems& problems);  // names, addresses, services
void validateBackups(const Config& config, const Node& root,
                     Problems& problems);  // data, repositories
void validatePaths(const Config& config, const Node& root,
                   Problems& problems);  // directories within each other

}  // namespace regrow::conf
