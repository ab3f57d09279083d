#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

// Small forms that only the configuration has. Pure; any thread.
namespace regrow::conf {

struct StatusRange {
    int low = 0;   // inclusive, 100..599
    int high = 0;  // inclusive
};
Result<StatusRange> parseStatusRange(std::string_view text);  // "200", "200-399"

struct Rate {
    int count = 0;
    Duration per{};
};
Result<Rate> parseRate(std::string_view text);  // "2 per 1h"

Result<int64_t> parseInteger(std::string_view text);
Result<double> parsePercent(std::string_view text);  // "20%" gives 0.2
// "10.0.0.0/8", "fd00::/8", or one address.
// "app.internal:8080": what may be looked up. A slip in a numeric address is no name.
Result<> checkHostAndPort(std::string_view text);
Result<int> parseFileMode(std::string_view text);  // "0660"
Result<> checkNetwork(std::string_view text);
// A name that can stand in file names, URLs and metrics.
Result<> checkName(std::string_view text);
Result<> checkAbsolutePath(std::string_view text);
// "NAME=value" with a name that a shell would take.
Result<> checkEnvironmentEntry(std::string_view text);

}  // namespace regrow::conf
