#include "health/http_expectation.h"

#include <fmt/core.h>

namespace regrow::health {

HttpVerdict judgeStatus(int status, const conf::Check& check) {
    const int low = check.expect_low, high = check.expect_high;
    if (status >= low && status <= high) return {Outcome::pass, fmt::format("HTTP {}", status)};
    const auto expected = low == high ? fmt::format("{}", low) : fmt::format("{}-{}", low, high);
    return {Outcome::bad_answer, fmt::format("HTTP {}, expected {}", status, expected)};
}

std::string hostOf(const Address& address, const conf::Check& check) {
    if (!check.http_host.empty()) return check.http_host;
    return address.isUnix() ? "localhost" : address.text();
}

}  // namespace regrow::health
