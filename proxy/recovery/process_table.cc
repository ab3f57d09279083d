#include "proxy/recovery/process_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <memory>

#include "base/file.h"

namespace regrow::recovery {
namespace {

template <class Number>
bool parseNumber(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

std::string_view nextField(std::string_view& rest) {
    const auto space = rest.find(' ');
    const auto field = rest.substr(0, space);
    rest.remove_prefix(space == std::string_view::npos ? rest.size() : space + 1);
    return field;
}

}  // namespace

std::optional<ProcStat> parseStat(std::string_view stat) {
    // "PID (NAME) STATE PPID PGRP SESSION …": the name may hold anything, so the fields are counted
    // from the last ')'.
    const auto open = stat.find('(');
    const auto close = stat.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open ||
        open < 2 || close + 2 >= stat.size())
        return std::nullopt;
    ProcStat out;
    ProcessInfo& info = out.info;
    if (!parseNumber(stat.substr(0, open - 1), info.pid)) return std::nullopt;
    info.name = stat.substr(open + 1, close - open - 1);
    std::string_view rest = stat.substr(close + 2);
    const auto state = nextField(rest);
    if (state.size() != 1) return std::nullopt;
    info.state = state[0];
    if (!parseNumber(nextField(rest), info.parent) || !parseNumber(nextField(rest), info.group) ||
        !parseNumber(nextField(rest), info.session))
        return std::nullopt;
    for (int field = 7; field < 20; ++field) nextField(rest);
    int threads = 0;
    if (!parseNumber(nextField(rest), threads)) return std::nullopt;
    nextField(rest);  // 21
    if (!parseNumber(nextField(rest), info.start_ticks)) return std::nullopt;
    out.alive = info.state != 'X' && (info.state != 'Z' || threads > 1);
    return out;
}

std::optional<ProcStat> readStat(pid_t pid) {
    const UniqueFd fd(
        ::open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return std::nullopt;
    char buffer[4096];
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    return n > 0 ? parseStat({buffer, static_cast<size_t>(n)}) : std::nullopt;
}

std::unordered_map<pid_t, ProcStat> readProcesses() {
    std::unordered_map<pid_t, ProcStat> processes;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), ::closedir);
    if (!directory) return processes;
    while (const dirent* entry = ::readdir(directory.get())) {
        pid_t pid = 0;
        if (!parseNumber(std::string_view(entry->d_name), pid)) continue;
        if (auto stat = readStat(pid)) processes.emplace(pid, std::move(*stat));
    }
    return processes;
}

std::optional<std::string> environmentOf(pid_t pid, std::string_view name) {
    const auto environment = readFile("/proc/" + std::to_string(pid) + "/environ", size_t{4} << 20);
    if (!environment) return std::nullopt;
    std::string_view rest(*environment);
    while (!rest.empty()) {
        const auto entry = rest.substr(0, rest.find('\0'));
        if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
            return std::string(entry.substr(name.size() + 1));
        rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
    }
    return std::nullopt;
}

}  // namespace regrow::recovery
