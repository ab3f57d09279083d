#pragma once

#include <string>
#include <vector>

#include "base/result.h"

// A repository and its key among the data they are to save: restoring onto such a directory would
// remove both as "not in the snapshot", and capturing it would feed the repository to itself. Both
// are refused (Code::refused) before anything is written. Directories are compared as the system
// sees them, so symlinks, ".." and bind mounts hide nothing. Any thread.
namespace regrow::backup {

struct Precious {
    std::string repository;  // a directory; empty: none
    std::string key_file;    // empty: none
};

// Whether `inner`, there or not yet, is `outer` or lies below it.
bool liesWithin(const std::string& inner, const std::string& outer);

Result<> mayRestoreInto(const std::string& target, const Precious& precious);
// What `exclude` (glob.h) leaves out may lie inside `path`.
Result<> mayCapture(const std::string& path, const Precious& precious,
                    const std::vector<std::string>& exclude);

}  // namespace regrow::backup
