#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace regrow::cli {

// regrow completion bash|zsh|fish. To be added last: the script lists the verbs and options that
// `app` has, so that it cannot fall behind them.
void addCompletionVerb(CLI::App& app, int& exit_code);

// The script for one shell; `shell` is bash, zsh or fish. Pure.
std::string completionScript(const CLI::App& app, const std::string& shell);

}  // namespace regrow::cli
