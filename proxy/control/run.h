#pragma once

#include <string>

namespace regrow::control {

// The proxy in the foreground, until SIGTERM or SIGINT (drain, at most 10 s). SIGHUP reloads, SIGUSR1 reopens logs.
// Returns the exit code; what prevents a start is said on standard error.
int runProxy(const std::string& config_path);

}  // namespace regrow::control
