#pragma once

#include <CLI/CLI.hpp>

namespace regrow::cli {

// regrow check -c FILE: every problem of a configuration at once, as file:line:column: message on
// standard error.
void addCheckVerb(CLI::App& app, int& exit_code);

}  // namespace regrow::cli
