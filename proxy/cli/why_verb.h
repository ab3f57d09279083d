#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/clock.h"
#include "base/json.h"

namespace regrow::cli {

// regrow why POOL/BACKEND: every transition, with the evidence that caused it, oldest first.
void addWhyVerb(CLI::App& app, int& exit_code);

// The text of it, from an array of events as /api/events answers. Pure.
std::string renderWhy(const rapidjson::Value& events, WallTime now, bool colour);

}  // namespace regrow::cli
