#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <csignal>

int main(int argc, char** argv) {
    std::signal(SIGPIPE,
                SIG_IGN);  // as the program does: a peer that left is an error code, not a signal
    return Catch::Session().run(argc, argv);
}
