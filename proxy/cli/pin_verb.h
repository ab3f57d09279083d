#pragma once

#include <CLI/CLI.hpp>

namespace regrow::cli {

// `step pin`: keeps retention away from a snapshot while a recovery uses it. The pin lies in the
// repository, where a stand-alone prune sees it, and expires by itself: who set it may never come
// back.
void addStepPin(CLI::App* step, int& exit_code);

}  // namespace regrow::cli
