#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

// /proc as plain values. Only stat is read of every process: it never waits. cmdline and environ
// wait for a process that hangs while it changes its memory map.
namespace regrow::recovery {

struct ProcessInfo {
    pid_t pid = 0;
    pid_t parent = 0;
    pid_t group = 0;
    pid_t session = 0;
    char state = '?';  // as in /proc/PID/stat
    uint64_t start_ticks = 0;
    std::string name;
    std::string text() const;  // "4711 postgres (D: waits in the kernel)"
};

struct ProcStat {
    ProcessInfo info;
    bool alive = true;  // false: a zombie without running threads
};

// Of the text of /proc/PID/stat. Pure; nothing when it is not that.
std::optional<ProcStat> parseStat(std::string_view stat);
std::optional<ProcStat> readStat(pid_t pid);

// All processes of this moment, more or less: reading takes a while, and nobody stands still for
// it.
std::unordered_map<pid_t, ProcStat> readProcesses();

// The value of a variable in a process's environment as it was when it executed; nothing when it
// has none or it may not be read.
std::optional<std::string> environmentOf(pid_t pid, std::string_view name);

}  // namespace regrow::recovery
