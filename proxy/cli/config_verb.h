#pragma once

#include <CLI/CLI.hpp>

namespace regrow::cli {

// regrow config defaults|schema: every key with its default as commented YAML; the JSON schema for
// editors. regrow version: one line.
void addConfigVerbs(CLI::App& app, int& exit_code);

}  // namespace regrow::cli
