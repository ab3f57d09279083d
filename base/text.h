#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

// Forms people read and write: durations, sizes, times. Pure; any thread.
namespace regrow {

// "500ms", "1s", "10m", "24h", "7d", "4w"; "0s" is allowed, a bare number is not.
Result<Duration> parseDuration(std::string_view text);
std::string formatDuration(
    Duration d);  // the shortest exact form parseDuration takes: "90s", "500ms"
std::string humanDuration(Duration d);  // for people: "1.3 s", "4 min 10 s", "3 d 2 h"

// "256MiB", "2GiB", "1MB", "512B", or a plain number of bytes.
Result<uint64_t> parseSize(std::string_view text);
std::string formatSize(uint64_t bytes);                 // the shortest exact form parseSize takes
std::string humanSize(uint64_t bytes);                  // "1.4 GiB"
std::string plural(uint64_t n, std::string_view word);  // "1 file", "2 files"

// RFC 3339 in UTC with milliseconds: "2026-11-22T20:03:33.123Z".
std::string formatTime(WallTime t);
// The same, or without fraction, or with an offset; what --at takes.
Result<WallTime> parseTime(std::string_view text);

// The candidate nearest to `word` by edit distance, when near enough to be what was meant; else
// empty.
template <class Range>
std::string_view nearest(std::string_view word, const Range& candidates);
size_t editDistance(std::string_view a, std::string_view b);

template <class Range>
std::string_view nearest(std::string_view word, const Range& candidates) {
    std::string_view best;
    size_t best_distance = word.size() / 3 + 2;  // further away is a different word, not a slip
    for (const auto& candidate : candidates) {
        const size_t d = editDistance(word, candidate);
        if (d < best_distance) best_distance = d, best = candidate;
    }
    return best;
}

std::string toHex(std::string_view bytes);
Result<std::string> fromHex(std::string_view hex);

}  // namespace regrow
