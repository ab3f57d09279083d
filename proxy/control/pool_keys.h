#pragma once

#include <string>

#include "proxy/control/registry.h"

namespace regrow::control {

// What balancing by key and cookies of affinity need to know of a pool's backends, built when a
// configuration is taken: `old` is the pool as it was before, or nullptr. Names and weights that
// stayed keep the table.
void buildKeys(PoolState& pool, const PoolState* old, const std::string& state_dir);

// The key of affinity tokens, of this installation: made once and kept in STATE_DIR/affinity.key,
// so that clients stay with their backends over restarts. Where it can be neither read nor written,
// one for the life of this process, and the log says so.
std::string affinityKey(const std::string& state_dir);

}  // namespace regrow::control
