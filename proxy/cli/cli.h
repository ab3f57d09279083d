#pragma once

namespace regrow::cli {

// The program as a person starts it: finds the verb, runs it, returns the exit code:
// 0 done, 1 failed, 2 usage, 3 refused (it would lose data; the message names the flag that says so
// on purpose).
int runCli(int argc, char** argv);

}  // namespace regrow::cli
