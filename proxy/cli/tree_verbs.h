#pragma once

#include <CLI/CLI.hpp>

#include "proxy/cli/backup_verbs.h"

// The verbs that look into snapshots without restoring them: ls, what is in one; diff, what differs
// between two of one name. Both read the repository themselves, named by --repo and --key-file or
// by the configuration (-c).
namespace regrow::cli {

void addTreeVerbs(CLI::App& app, int& exit_code, const OnlineVerb& online);

}  // namespace regrow::cli
