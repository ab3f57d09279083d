#pragma once

#include <CLI/CLI.hpp>

namespace regrow::cli {

// What a recovery looks at through child processes, so that a hung disk holds up no control loop:
//   step inspect      whose data lies in a directory, and may a restore take its place?
//   step verify       is a restored tree exactly the snapshot's?
//   step repository   opens a repository; makes it when it was never recorded (--create)
void addRecoverySteps(CLI::App* step, int& exit_code);

}  // namespace regrow::cli
