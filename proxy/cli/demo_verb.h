#pragma once

#include <CLI/CLI.hpp>

namespace regrow::cli {

// `regrow demo`: the main job on this machine with a real stateful backend, while a client writes
// and reads. What goes wrong is chosen by --scenario; what was lost is found by reading everything
// back, not by believing the proxy.
void addDemoVerb(CLI::App& app, int& exit_code);

}  // namespace regrow::cli
