#include "base/text.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <numeric>
#include <vector>

namespace regrow {
namespace {

struct Unit {
    std::string_view name;
    uint64_t factor;
};
// Nanoseconds; largest first, so that formatting finds the largest exact unit.
constexpr std::array<Unit, 8> kTimeUnits{{{"w", 604'800'000'000'000},
                                          {"d", 86'400'000'000'000},
                                          {"h", 3'600'000'000'000},
                                          {"m", 60'000'000'000},
                                          {"s", 1'000'000'000},
                                          {"ms", 1'000'000},
                                          {"us", 1'000},
                                          {"ns", 1}}};
constexpr std::array<Unit, 10> kSizeUnits{{{"TiB", 1ULL << 40},
                                           {"TB", 1'000'000'000'000},
                                           {"GiB", 1ULL << 30},
                                           {"GB", 1'000'000'000},
                                           {"MiB", 1ULL << 20},
                                           {"MB", 1'000'000},
                                           {"KiB", 1ULL << 10},
                                           {"kB", 1'000},
                                           {"KB", 1'000},
                                           {"B", 1}}};

std::unexpected<Error> invalid(std::string_view what, std::string_view text,
                               std::string_view example) {
    return fail(Code::invalid, Source::config,
                fmt::format("'{}' is not a {}; write for example {}", text, what, example));
}

template <size_t N>
Result<uint64_t> parseWithUnit(std::string_view text, const std::array<Unit, N>& units,
                               bool bare_allowed, std::string_view what, std::string_view example) {
    uint64_t number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return invalid(what, text, example);
    const std::string_view unit(rest, static_cast<size_t>(text.data() + text.size() - rest));
    if (unit.empty() && bare_allowed) return number;
    for (const auto& u : units) {
        if (u.name != unit) continue;
        if (number > static_cast<uint64_t>(INT64_MAX) / u.factor)
            return invalid(what, text, example);
        return number * u.factor;
    }
    return invalid(what, text, example);
}

bool readInt(std::string_view& text, size_t digits, int& out) {
    if (text.size() < digits || text.front() == '-')
        return false;  // from_chars would take a sign for a digit
    const auto [end, error] = std::from_chars(text.data(), text.data() + digits, out);
    if (error != std::errc() || end != text.data() + digits) return false;
    text.remove_prefix(digits);
    return true;
}

bool readChar(std::string_view& text, std::string_view any_of) {
    if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

// "Z", "+hh:mm", "-hh:mm" to seconds east of UTC.
bool readOffset(std::string_view& text, int& seconds) {
    if (readChar(text, "Zz")) return seconds = 0, true;
    const int sign = !text.empty() && text.front() == '-' ? -1 : 1;
    int hours = 0;
    int minutes = 0;
    if (!readChar(text, "+-") || !readInt(text, 2, hours) || !readChar(text, ":") ||
        !readInt(text, 2, minutes))
        return false;
    seconds = sign * (hours * 3600 + minutes * 60);
    return hours < 24 && minutes < 60;
}

bool readFraction(std::string_view& text, int64_t& nanoseconds) {
    nanoseconds = 0;
    if (!readChar(text, ".")) return true;
    int64_t scale = 100'000'000;
    size_t digits = 0;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
        nanoseconds += scale * (text.front() - '0');
        scale /= 10;
        text.remove_prefix(1);
        ++digits;
    }
    return digits > 0;
}

int hexValue(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

Result<Duration> parseDuration(std::string_view text) {
    REGROW_TRY(const uint64_t ns,
               parseWithUnit(text, kTimeUnits, false, "duration", "500ms, 10s, 5m, 24h or 7d"));
    return Duration(static_cast<int64_t>(ns));
}

std::string formatDuration(Duration d) {
    const auto ns = static_cast<uint64_t>(std::max<int64_t>(0, d.count()));
    if (ns == 0) return "0s";
    for (const auto& u : kTimeUnits)
        if (ns % u.factor == 0) return fmt::format("{}{}", ns / u.factor, u.name);
    return fmt::format("{}ns", ns);
}

std::string humanDuration(Duration d) {
    if (d < Duration{}) return "-" + humanDuration(-d);
    const double s = toSeconds(d);
    // The limits lie where rounding would say 1000 us, 1000 ms or 60.0 s.
    if (s < 0.0009995) return fmt::format("{:.0f} us", s * 1e6);
    if (s < 0.9995) return fmt::format("{:.0f} ms", s * 1e3);
    if (s < 59.95) return fmt::format("{:.1f} s", s);
    const auto whole = static_cast<int64_t>(std::max(s, 60.0));
    if (s < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
    if (s < 86400) return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
    return fmt::format("{} d {} h", whole / 86400, whole / 3600 % 24);
}

Result<uint64_t> parseSize(std::string_view text) {
    return parseWithUnit(text, kSizeUnits, true, "size", "512KiB, 256MiB or 2GiB");
}

std::string formatSize(uint64_t bytes) {
    for (const auto& u : kSizeUnits)
        if (bytes != 0 && bytes % u.factor == 0)
            return fmt::format("{}{}", bytes / u.factor, u.name);
    return fmt::format("{}B", bytes);
}

std::string plural(uint64_t n, std::string_view word) {
    return std::to_string(n) + " " + std::string(word) + (n == 1 ? "" : "s");
}

std::string humanSize(uint64_t bytes) {
    constexpr std::array<std::string_view, 5> kNames{"B", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < kNames.size()) value /= 1024, ++unit;
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kNames[unit]);
}

std::string formatTime(WallTime t) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(t.time_since_epoch()).count();
    const time_t seconds = static_cast<time_t>(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                       utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                       ms - static_cast<int64_t>(seconds) * 1000);
}

Result<WallTime> parseTime(std::string_view text) {
    std::string_view rest = text;
    std::tm utc{};
    int64_t nanoseconds = 0;
    int offset = 0;
    const bool ok =
        readInt(rest, 4, utc.tm_year) && readChar(rest, "-") && readInt(rest, 2, utc.tm_mon) &&
        readChar(rest, "-") && readInt(rest, 2, utc.tm_mday) && readChar(rest, "Tt ") &&
        readInt(rest, 2, utc.tm_hour) && readChar(rest, ":") && readInt(rest, 2, utc.tm_min) &&
        readChar(rest, ":") && readInt(rest, 2, utc.tm_sec) && readFraction(rest, nanoseconds) &&
        readOffset(rest, offset) && rest.empty();
    // A WallTime counts nanoseconds in 64 bits: it ends in 2262.
    const bool in_range = utc.tm_year >= 1678 && utc.tm_year <= 2261 && utc.tm_mon >= 1 &&
                          utc.tm_mon <= 12 && utc.tm_mday >= 1 && utc.tm_mday <= 31 &&
                          utc.tm_hour < 24 && utc.tm_min < 60 && utc.tm_sec < 61;
    if (!ok || !in_range) return invalid("time", text, "2026-11-22T20:03:33Z");
    utc.tm_year -= 1900;
    utc.tm_mon -= 1;
    const int day = utc.tm_mday;
    const int second = utc.tm_sec;
    const time_t at = timegm(&utc);
    if (second < 60 && utc.tm_mday != day)
        return invalid("time", text, "2026-11-22T20:03:33Z");  // 31 February
    const WallTime whole = Wall::from_time_t(at - offset);
    return whole +
           std::chrono::duration_cast<Wall::duration>(std::chrono::nanoseconds(nanoseconds));
}

// Levenshtein with one row.
size_t editDistance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t substituted = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
        }
    }
    return row.back();
}

std::string toHex(std::string_view bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    hex.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        hex.push_back(kDigits[byte >> 4]);
        hex.push_back(kDigits[byte & 15]);
    }
    return hex;
}

Result<std::string> fromHex(std::string_view hex) {
    std::string bytes;
    if (hex.size() % 2 != 0) return fail(Code::invalid, Source::us, "odd number of hex digits");
    for (size_t i = 0; i < hex.size(); i += 2) {
        const int high = hexValue(hex[i]);
        const int low = hexValue(hex[i + 1]);
        if (high < 0 || low < 0) return fail(Code::invalid, Source::us, "not a hex digit");
        bytes.push_back(static_cast<char>(high << 4 | low));
    }
    return bytes;
}

}  // namespace regrow
