#pragma once

#include <CLI/CLI.hpp>

namespace regrow::cli {

// drain, undrain, maintenance, recover, quarantine, release; approve, cancel; pause, resume,
// reload: each is one call to a running proxy, and prints the sentence it answers.
void addControlVerbs(CLI::App& app, int& exit_code);

}  // namespace regrow::cli
