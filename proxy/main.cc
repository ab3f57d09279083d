#include <fmt/core.h>

#include <csignal>
#include <exception>

#include "proxy/cli/cli.h"

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);  // a peer that left is an error code, not a signal
    try {
        return regrow::cli::runCli(argc, argv);
    } catch (const std::exception& e) {
        fmt::print(stderr, "regrow: {}\n", e.what());
        return 1;
    }
}
