#define CATCH_CONFIG_RUNNER
#include <csignal>

#include <catch2/catch.hpp>

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);  // as the program does: a peer that left is an error code, not a signal
    return Catch::Session().run(argc, argv);
}
