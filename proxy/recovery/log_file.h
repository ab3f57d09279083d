#pragma once

#include <string>

#include "base/result.h"

// The files that servers write their output to. They hold a plain descriptor of it and outlive us,
// so it can be turned over only between two of their lives. Control loop; local disk only.
namespace regrow::recovery {

// Makes the directory when absent; a file that has grown beyond `limit` becomes PATH.1, replacing
// the one before.
Result<> prepareLog(const std::string& path, uint64_t limit = uint64_t{10} << 20);
// The last `bytes` of what was written beyond `from`, from the start of a line where there is one;
// empty when unreadable.
std::string logTail(const std::string& path, size_t bytes, uint64_t from = 0);
uint64_t logSize(const std::string& path);

}  // namespace regrow::recovery
