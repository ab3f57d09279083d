#pragma once

#include <string>

namespace regrow::cli {

// The proxy in the foreground, until SIGTERM or SIGINT: then it drains for at most 10 s and leaves
// its servers running. SIGHUP reloads, SIGUSR1 reopens the access log. Returns the exit code; what
// prevents a start is said on standard error.
int runProxy(const std::string& config_path);

}  // namespace regrow::cli
