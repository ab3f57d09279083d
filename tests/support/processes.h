#pragma once

#include <sys/types.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "base/file.h"

namespace regrow::test {

// What a script wrote to a file as "echo $$ >> FILE"; empty while there is none.
inline std::vector<pid_t> pidsIn(const std::string& path) {
    std::vector<pid_t> pids;
    std::istringstream in(readFile(path).value_or(""));
    for (std::string line; std::getline(in, line);) pids.push_back(std::atoi(line.c_str()));
    return pids;
}

// Zombies do not count.
inline bool isAlive(pid_t pid) {
    return identify(pid).has_value();
}

inline std::vector<std::string> shell(const std::string& script) {
    return {"/bin/sh", "-c", script};
}

}  // namespace regrow::test
