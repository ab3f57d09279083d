#pragma once

#include <CLI/CLI.hpp>

namespace regrow::cli {

// regrow run -c FILE: the proxy, in the foreground.
void addRunVerb(CLI::App& app, int& exit_code);

}  // namespace regrow::cli
