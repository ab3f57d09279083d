#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "proxy/cli/admin_client.h"

// The engine's verbs on the command line, alone, with a repository and a name: key new, repo init,
// backup, snapshots, ls, diff, restore, verify; and the hidden `step` verbs (activate, untouched,
// fresh) that a proxy runs as child processes. Each adds itself to the app; when it was chosen, its
// callback does the work and sets `exit_code` (0 done, 1 failed, 2 usage, 3 refused). Nothing is
// printed before a callback runs.
//
// They mean a running proxy's, or its configuration's, when no --repo is given; then `online` is
// called with what was said. Without an `online`, that is a usage error that says so.
namespace regrow::cli {

struct OnlineRequest {
    std::string verb;     // "backup", "snapshots", "restore", "verify", "ls", "diff"
    std::string backend;  // POOL/BACKEND, may be empty
    bool full = false;
    bool json = false;
    // What reads the repository itself, once the configuration has named it.
    std::function<int(const std::string& repo, const std::string& key_file)> alone;
    AdminOptions admin;  // -a ADDR, -c FILE, --token-file FILE
};
using OnlineVerb = std::function<int(const OnlineRequest&)>;

void addBackupVerbs(CLI::App& app, int& exit_code, const OnlineVerb& online = {});

}  // namespace regrow::cli
