#pragma once

#include <cstdint>

// Counts operator new in the executable that uses it (linking this replaces the global one). Frees
// are not counted; under a sanitizer nothing is, and the counts stay 0.
namespace regrow::test {

uint64_t threadAllocations();   // by the calling thread
uint64_t processAllocations();  // by all threads

}  // namespace regrow::test
