#pragma once

#include <string>

#include "base/result.h"

namespace regrow {

// Becomes `user`, with its groups, for good: the whole process, before any thread is started. Of
// root's powers it keeps one, to bind ports below 1024, so that a reload may open another one; the
// programs it starts do not get it. Being that user already is fine; without root anybody else is
// refused.
Result<> becomeUser(const std::string& user);

// Whether this process may create and change what is in `directory`, which may not exist yet.
Result<> requireWritable(const std::string& directory, const std::string& what);

}  // namespace regrow
