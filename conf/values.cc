#include "conf/values.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace regrow::conf {
namespace {

constexpr size_t kNameLimit = 64;
constexpr size_t kPathLimit = 4095;  // PATH_MAX without its NUL

std::unexpected<Error> bad(std::string message) {
    return fail(Code::invalid, Source::config, std::move(message));
}

template <class T>
bool wholeNumber(std::string_view text, T& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size();
}

bool isLetterOrDigit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
bool isWordChar(char c) {
    return isLetterOrDigit(c) || c == '_';
}

}  // namespace

Result<StatusRange> parseStatusRange(std::string_view text) {
    const auto dash = text.find('-');
    StatusRange range;
    const bool ok =
        wholeNumber(text.substr(0, dash), range.low) &&
        (dash == std::string_view::npos || wholeNumber(text.substr(dash + 1), range.high));
    if (dash == std::string_view::npos) range.high = range.low;
    if (!ok || range.low < 100 || range.high > 599 || range.low > range.high)
        return bad(fmt::format(
            "'{}' is not a status or range of them; write 200 or 200-399 (100 to 599)", text));
    return range;
}

Result<Rate> parseRate(std::string_view text) {
    const auto per = text.find(" per ");
    Rate rate;
    const bool ok = per != std::string_view::npos && wholeNumber(text.substr(0, per), rate.count);
    const auto duration = ok ? parseDuration(text.substr(per + 5)) : Result<Duration>(Duration{});
    if (!ok || !duration || rate.count < 1 || rate.count > 1'000'000 || *duration <= Duration{})
        return bad(fmt::format(
            "'{}' is not a rate; write a number and a time, for example '2 per 1h'", text));
    rate.per = *duration;
    return rate;
}

Result<int64_t> parseInteger(std::string_view text) {
    int64_t value = 0;
    if (!wholeNumber(text, value)) return bad(fmt::format("'{}' is not a whole number", text));
    return value;
}

Result<double> parsePercent(std::string_view text) {
    double value = 0;
    if (!text.ends_with('%') || !wholeNumber(text.substr(0, text.size() - 1), value) ||
        !(value >= 0 && value <= 1e6))
        return bad(fmt::format("'{}' is not a percentage; write for example 20%", text));
    return value / 100;
}

Result<> checkHostAndPort(std::string_view text) {
    const auto colon = text.rfind(':');
    const auto host = text.substr(0, colon);
    int port = 0;
    const bool port_ok = colon != std::string_view::npos &&
                         wholeNumber(text.substr(colon + 1), port) && port >= 1 && port <= 65535;
    const auto last =
        host.substr(host.rfind('.') == std::string_view::npos ? 0 : host.rfind('.') + 1);
    const bool clean =
        std::ranges::all_of(host, [](char c) { return isWordChar(c) || c == '.' || c == '-'; });
    const bool name = !host.empty() && host.size() <= 253 && clean && host.front() != '.' &&
                      host.front() != '-' && host.find("..") == std::string_view::npos &&
                      std::ranges::any_of(last, [](char c) { return c < '0' || c > '9'; });
    if (port_ok && name) return {};
    return bad(
        fmt::format("'{}' is neither a numeric address nor a name with a port; write "
                    "127.0.0.1:8080, [::1]:8080, app.internal:8080 or unix:/path",
                    text));
}

Result<int> parseFileMode(std::string_view text) {
    int mode = 0;
    const auto* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, mode, 8);
    if (error != std::errc() || at != end || mode <= 0 || mode > 0777)
        return bad(fmt::format("'{}' is not a file mode; write for example 0660", text));
    return mode;
}

Result<> checkNetwork(std::string_view text) {
    const auto slash = text.find('/');
    const std::string host(text.substr(0, slash));
    std::array<unsigned char, 16> bytes{};
    const bool v4 = ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1;
    const bool v6 = !v4 && ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
    const int longest = v4 ? 32 : 128;
    int prefix = longest;
    const bool prefix_ok =
        slash == std::string_view::npos || wholeNumber(text.substr(slash + 1), prefix);
    if ((!v4 && !v6) || !prefix_ok || prefix < 0 || prefix > longest)
        return bad(fmt::format(
            "'{}' is not a network; write for example 10.0.0.0/8, fd00::/8 or 192.0.2.7", text));
    for (int bit = prefix; bit < longest; ++bit)
        if (bytes[static_cast<size_t>(bit / 8)] >> (7 - bit % 8) & 1)
            return bad(
                fmt::format("'{}' has bits set beyond its /{}; write the network's first address",
                            text, prefix));
    return {};
}

Result<> checkName(std::string_view text) {
    const bool clean = std::all_of(text.begin(), text.end(),
                                   [](char c) { return isWordChar(c) || c == '.' || c == '-'; });
    if (text.empty() || text.size() > kNameLimit || !clean || !isLetterOrDigit(text.front()))
        return bad(fmt::format(
            "'{}' is not a name; use 1 to {} letters, digits, '.', '_' and '-', beginning with a "
            "letter or digit",
            text, kNameLimit));
    return {};
}

Result<> checkAbsolutePath(std::string_view text) {
    if (!text.starts_with('/'))
        return bad(fmt::format("'{}' is not an absolute path; begin it with '/'", text));
    if (text.size() > kPathLimit)
        return bad(fmt::format("the path is longer than {} bytes", kPathLimit));
    return {};
}

Result<> checkEnvironmentEntry(std::string_view text) {
    const auto equals = text.find('=');
    const auto variable = text.substr(0, equals);
    const bool clean = !variable.empty() &&
                       std::all_of(variable.begin(), variable.end(), isWordChar) &&
                       !(variable.front() >= '0' && variable.front() <= '9');
    if (equals == std::string_view::npos || !clean)
        return bad(
            fmt::format("'{}' is not NAME=value with a name of letters, digits and '_'", text));
    return {};
}

}  // namespace regrow::conf
