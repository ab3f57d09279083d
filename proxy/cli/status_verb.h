#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/clock.h"
#include "base/json.h"

namespace regrow::cli {

// regrow status: a compact table a pool.
void addStatusVerb(CLI::App& app, int& exit_code);

// The text of it, from what /stats answered. Pure. Fields that are missing show as "-": a newer or
// older proxy is shown as far as it is understood.
std::string renderStatus(const rapidjson::Value& stats, bool colour);

}  // namespace regrow::cli
