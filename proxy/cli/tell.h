#pragma once

#include <string>

#include "proxy/cli/admin_client.h"

namespace regrow::cli {

// One changing call to a running proxy; prints the sentence it answers (or with --json the answer)
// and returns the exit code. `path` from the top, escaped.
int tell(const AdminOptions& options, const std::string& path);
// The same for a verb of a pool's backend or server. target: POOL/NAME; query: empty or from the
// "?" on.
int tellBackend(const AdminOptions& options, const std::string& target, const std::string& verb,
                const std::string& query);

}  // namespace regrow::cli
