#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/cli/backup_verbs.h"
#include "proxy/cli/repository_verbs.h"

// What the verbs on a repository have in common on the command line: --repo and --key-file, or,
// where a configuration can name both, -c FILE and a backend.
namespace regrow::cli {

// --repo, --key-file, --json
void addRepositoryOptions(CLI::App* verb, RepositoryArguments& arguments);
// --at TIME|SNAPSHOT|latest
void addInstant(CLI::App* verb, std::string& at);
// --include GLOB, repeatable; what an empty list means is everything
void addInclude(CLI::App* verb, std::vector<std::string>& patterns, const std::string& help);
// Tells what is wrong with the command line; kUsage.
int usageError(const RepositoryArguments& arguments, std::string message);
// Either of the pair is missing: says which; kUsage.
int missingRepository(const RepositoryArguments& arguments, std::string_view verb);

// Runs `alone` when repository and key were named, and asks `online` when neither was.
int dispatchVerb(const RepositoryArguments& arguments, const OnlineRequest& request,
                 const OnlineVerb& online, const std::function<int()>& alone);

}  // namespace regrow::cli
