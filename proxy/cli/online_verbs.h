#pragma once

#include "proxy/cli/backup_verbs.h"

namespace regrow::cli {

// What backup, snapshots, restore and verify mean without --repo. backup and snapshots ask the
// running proxy. restore and verify read the repositories that the configuration (-c FILE) names,
// which works while the proxy runs and when it cannot: the data must be reachable on the day when
// everything else is down.
int online(const OnlineRequest& request);

}  // namespace regrow::cli
