#include "base/log.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

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
        auto made = std::make_shared<spdlog::logger>("regrow", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_level(spdlog::level::trace);
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %-5l %v");
        made->flush_on(spdlog::level::trace);
        return made;
    }();
    return *instance;
}

std::string asJsonFields(std::string_view area, std::string_view message) {
    rapidjson::StringBuffer out;
    rapidjson::Writer<rapidjson::StringBuffer, rapidjson::UTF8<>, rapidjson::UTF8<>, rapidjson::CrtAllocator,
                      rapidjson::kWriteValidateEncodingFlag>
        json(out);
    json.String(area.data(), static_cast<rapidjson::SizeType>(area.size()));
    std::string fields = "\"area\":" + std::string(out.GetString());
    out.Clear();
    json.Reset(out);
    if (!json.String(message.data(), static_cast<rapidjson::SizeType>(message.size())))
        return fields + ",\"message\":\"(not UTF-8)\"";
    return fields + ",\"message\":" + out.GetString();
}

}  // namespace

void init(Level level, Format format) {
    current_level = level;
    current_format = format;
    logger().set_pattern(format == Format::json
                             ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})"
                             : "%Y-%m-%dT%H:%M:%S.%e%z %-5l %v");
}

bool enabled(Level level) { return level >= current_level.load(std::memory_order_relaxed); }

void write(Level level, std::string_view area, std::string_view message) {
    if (!enabled(level)) return;
    if (current_format.load(std::memory_order_relaxed) == Format::json)
        logger().log(toSpdlog(level), asJsonFields(area, message));
    else
        logger().log(toSpdlog(level), fmt::format("{}: {}", area, message));
}

}  // namespace regrow::log
