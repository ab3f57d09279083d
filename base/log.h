#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

// The structured log: one line an event, `time level area message`, or JSON lines. spdlog writes
// it; only log.cc includes spdlog, because its headers cost more to compile than this whole folder.
// Any thread may log. Before init() lines of level warn and above go to stderr.
namespace regrow::log {

enum class Level { trace, debug, info, warn, error, off };
enum class Format { text, json };

void init(Level level, Format format);  // control thread, at start and on reload
bool enabled(Level level);
// area: the part that speaks ("recovery wiki/wiki-1", "listener 0.0.0.0:8080").
void write(Level level, std::string_view area, std::string_view message);

template <class... Args>
void debug(std::string_view area, fmt::format_string<Args...> text, Args&&... args) {
    if (enabled(Level::debug))
        write(Level::debug, area, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void info(std::string_view area, fmt::format_string<Args...> text, Args&&... args) {
    if (enabled(Level::info))
        write(Level::info, area, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void warn(std::string_view area, fmt::format_string<Args...> text, Args&&... args) {
    if (enabled(Level::warn))
        write(Level::warn, area, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void error(std::string_view area, fmt::format_string<Args...> text, Args&&... args) {
    if (enabled(Level::error))
        write(Level::error, area, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace regrow::log
