#include "base/text.h"

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <vector>

using namespace regrow;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

WallTime at(int64_t milliseconds) {
    return WallTime(std::chrono::milliseconds(milliseconds));
}

}  // namespace

TEST_CASE("durations: what is formatted is read back as the same", "[text]") {
    CHECK(formatDuration(90s) == "90s");
    CHECK(formatDuration(500ms) == "500ms");
    CHECK(formatDuration(0s) == "0s");
    CHECK(formatDuration(24h * 7) == "1w");
    for (const Duration d :
         std::vector<Duration>{0s, 1ns, 999us, 1500ms, 61s, 1h, 25h, 24h * 365}) {
        INFO(formatDuration(d));
        CHECK(parseDuration(formatDuration(d)).value() == d);
    }
}

TEST_CASE("durations: nonsense, overflow and bare numbers are refused by name", "[text]") {
    for (const auto* text : {"", "5", "-5s", "s", "5 s", "5S", "1.5s", "5sec", "+5s",
                             "99999999999999999999s", "16000w"}) {
        INFO(text);
        const auto d = parseDuration(text);
        REQUIRE_FALSE(d);
        CHECK_THAT(d.error().message, Contains("'" + std::string(text) + "'") && Contains("500ms"));
    }
    CHECK(parseDuration("15000w"));
}

TEST_CASE("durations for people: the unit changes where rounding would overflow it", "[text]") {
    CHECK(humanDuration(0s) == "0 us");
    CHECK(humanDuration(999'600ns) == "1 ms");
    CHECK(humanDuration(999'600us) == "1.0 s");
    CHECK(humanDuration(1300ms) == "1.3 s");
    CHECK(humanDuration(59'960ms) == "1 min 0 s");
    CHECK(humanDuration(250s) == "4 min 10 s");
    CHECK(humanDuration(2h + 5min) == "2 h 5 min");
    CHECK(humanDuration(74h) == "3 d 2 h");
    CHECK(humanDuration(-90s) == "-1 min 30 s");
}

TEST_CASE("sizes", "[text]") {
    CHECK(parseSize("256MiB").value() == uint64_t{256} << 20);
    CHECK(parseSize("1MB").value() == 1'000'000);
    CHECK(parseSize("17").value() == 17);
    CHECK(parseSize("0").value() == 0);
    for (const auto* text : {"", "-1", "MiB", "1 MiB", "1mib", "1.5GiB", "9999999TiB"}) {
        INFO(text);
        CHECK_FALSE(parseSize(text));
    }
    for (const uint64_t bytes : {uint64_t{0}, uint64_t{1}, uint64_t{1000}, uint64_t{1024},
                                 uint64_t{1025}, uint64_t{3} << 30, uint64_t{5} << 40})
        CHECK(parseSize(formatSize(bytes)).value() == bytes);
    CHECK(humanSize(1023) == "1023 B");
    CHECK(humanSize(1536) == "1.5 KiB");
    CHECK(humanSize((1 << 20) - 1) == "1.0 MiB");
}

TEST_CASE("times are written in UTC with milliseconds, before 1970 too", "[text]") {
    CHECK(formatTime(at(0)) == "1970-01-01T00:00:00.000Z");
    CHECK(formatTime(at(-1)) == "1969-12-31T23:59:59.999Z");
    CHECK(formatTime(WallTime(-1ns)) == "1969-12-31T23:59:59.999Z");
    CHECK(formatTime(at(1'700'000'000'123)) == "2023-11-14T22:13:20.123Z");
    for (const int64_t ms : {int64_t{-86'400'001}, int64_t{1}, int64_t{4'102'444'800'000}})
        CHECK(parseTime(formatTime(at(ms))).value() == at(ms));
}

TEST_CASE("times are read with offset, without fraction and with spaces", "[text]") {
    const WallTime expected = at(1'700'000'000'000);
    for (const auto* text : {"2023-11-14T22:13:20Z", "2023-11-14 22:13:20z",
                             "2023-11-15T00:13:20+02:00", "2023-11-14T16:43:20.000-05:30"})
        CHECK(parseTime(text).value() == expected);
    CHECK(parseTime("2023-11-14T22:13:20.0000000019Z").value() == expected + 1ns);
    CHECK(parseTime("2024-02-29T00:00:00Z"));
    CHECK(parseTime("2016-12-31T23:59:60Z").value() == parseTime("2017-01-01T00:00:00Z").value());
}

TEST_CASE("times that do not exist are refused", "[text]") {
    for (const auto* text :
         {"", "now", "2023-11-14", "2023-11-14T22:13:20", "2023-02-29T00:00:00Z",
          "2023-04-31T00:00:00Z", "2023-13-01T00:00:00Z", "2023-00-01T00:00:00Z",
          "2023-11-14T24:00:00Z", "2023-11-14T-1:-2:-3Z", "-001-11-14T22:13:20Z",
          "2023-11-14T22:13:20.Z", "2023-11-14T22:13:20+24:00", "2023-11-14T22:13:20+-1:00",
          "2023-11-14T22:13:20Zx", "9999-01-01T00:00:00Z"}) {
        INFO(text);
        const auto time = parseTime(text);
        REQUIRE_FALSE(time);
        CHECK(time.error().code == Code::invalid);
    }
}

TEST_CASE("the nearest word is a slip, not another word", "[text]") {
    const std::array<std::string, 3> words{"backends", "backup", "balance"};
    CHECK(nearest("backend", words) == "backends");
    CHECK(nearest("bakcup", words) == "backup");
    CHECK(nearest("listeners", words).empty());
    CHECK(nearest("x", words).empty());
    CHECK(nearest("x", std::array<std::string, 0>{}).empty());
    CHECK(editDistance("kitten", "sitting") == 3);
    CHECK(editDistance("", "abc") == 3);
    CHECK(editDistance("abc", "") == 3);
}

TEST_CASE("hex", "[text]") {
    const std::string bytes("\x00\xff\x10", 3);
    CHECK(toHex(bytes) == "00ff10");
    CHECK(fromHex("00FF10").value() == bytes);
    CHECK_FALSE(fromHex("0"));
    CHECK_FALSE(fromHex("0g"));
}
