#pragma once

#include <cstdint>

namespace regrow {

// How many descriptors this process may have, after its soft limit was raised to the hard one. The
// soft limit it was started with is kept for its children: programs that use select(2) or walk over
// all descriptors count on a small one. Call once, from main's thread, before others start.
uint64_t raiseDescriptorLimit();
// Between fork and exec; async-signal-safe. Nothing where the limit was never raised.
void restoreDescriptorLimit();

// Bytes of memory that this process can have: the machine's, or less when a control group says so.
uint64_t machineMemory();

}  // namespace regrow
