#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

#include "base/json.h"

namespace regrow::log {
namespace {

std::atomic<Level> current_level{Level::warn};
std::atomic<Format> current_format{Format::text};

spdlog::level::level_enum toSpdlog(Level level) {
    switch (level) {
        case Level::trace: return spdlog::level::trace;
        case Level::debug: return spdlog::level::debug;
        case Level::info: return spdlog::level::info;
        case Level::warn: return spdlog::level::warn;
        case Level::error: return spdlog::level::err;
        case Level::off: return spdlog::level::off;
    }
    return spdlog::level::info;
}

// stderr, so that a verb's standard output stays its result. spdlog's own mutex orders the lines.
spdlog::logger& logger() {
    static const std::shared_ptr<spdlog::logger> instance = [] {
        auto made = std::make_shared<spdlog::logger>(
            "regrow", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_level(spdlog::level::trace);
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %-5l %v");
        made->flush_on(spdlog::level::trace);
        return made;
    }();
    return *instance;
}

// An object without its braces: the pattern puts time and level before it.
std::string asJsonFields(std::string_view area, std::string_view message) {
    const std::string object = json::Writer()
                                   .beginObject()
                                   .field("area", area)
                                   .field("message", message)
                                   .endObject()
                                   .text();
    return object.substr(1, object.size() - 2);
}

// One line an event, whatever somebody put into the names in it: control characters are shown, not
// obeyed.
std::string asTextLine(std::string_view area, std::string_view message) {
    std::string line;
    for (const char c : fmt::format("{}: {}", area, message)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f)
            line += fmt::format("\\x{:02x}", byte);
        else
            line += c;
    }
    return line;
}

}  // namespace

void init(Level level, Format format) {
    current_level = level;
    current_format = format;
    logger().set_pattern(format == Format::json
                             ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})"
                             : "%Y-%m-%dT%H:%M:%S.%e%z %-5l %v");
}

bool enabled(Level level) {
    return level >= current_level.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view area, std::string_view message) {
    if (!enabled(level)) return;
    if (current_format.load(std::memory_order_relaxed) == Format::json)
        logger().log(toSpdlog(level), asJsonFields(area, message));
    else
        logger().log(toSpdlog(level), asTextLine(area, message));
}

}  // namespace regrow::log
