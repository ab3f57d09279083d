#pragma once

#include <string>

#include "base/result.h"

// What the demo does to its backend. Only ever to process groups the demo's own proxy started and
// to files below the demo's own directory.
namespace regrow::cli {

// SIGKILL to the whole process group, as a crash or the out-of-memory killer would.
Result<> killServer(long pid);
// SIGSTOP: it accepts connections and never answers.
Result<> hangServer(long pid);
// The host is gone: nothing is left of the data.
Result<> wipeData(const std::string& data);
// Flips bytes in the middle of the newest pack. Returns its name.
Result<std::string> damageNewestPack(const std::string& repository);

}  // namespace regrow::cli
