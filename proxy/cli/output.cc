#include "proxy/cli/output.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace regrow::cli {
namespace {

std::string wrapped(std::string_view text, std::string_view code, bool on) {
    return on ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

std::string_view codeFor(std::string_view word) {
    word = word.substr(0, word.find('('));  // held(approval)
    static constexpr std::array<std::string_view, 4> kGood{"up", "free", "done", "ok"};
    static constexpr std::array<std::string_view, 8> kWarn{
        "degraded", "suspect", "draining", "maintenance", "dirty", "held", "cancelled", "paused"};
    static constexpr std::array<std::string_view, 4> kBad{"down", "lost", "failed", "quarantined"};
    if (std::ranges::find(kGood, word) != kGood.end()) return "32";
    if (std::ranges::find(kWarn, word) != kWarn.end()) return "33";
    if (std::ranges::find(kBad, word) != kBad.end()) return "1;31";
    return "36";  // on its way: restoring, warming, starting, claimed, …
}

}  // namespace

int report(const Error& error) {
    fmt::print(stderr, "regrow: {}\n", printable(error.message));
    if (error.code == Code::invalid && error.source == Source::client) return kExitUsage;
    return error.code == Code::refused ? kExitRefused : kExitFailed;
}

void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

bool wantsColour() {
    const char* no_colour = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    return ::isatty(STDOUT_FILENO) == 1 && (!no_colour || !*no_colour) && term &&
           std::string_view(term) != "dumb";
}

std::string tinted(std::string_view text, std::string_view word, bool on) {
    return wrapped(text, codeFor(word), on);
}
std::string bold(std::string_view text, bool on) {
    return wrapped(text, "1", on);
}
std::string faint(std::string_view text, bool on) {
    return wrapped(text, "2", on);
}

size_t columns(std::string_view text) {
    return static_cast<size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string padded(std::string_view text, size_t width) {
    std::string out(text);
    out.append(width > columns(text) ? width - columns(text) : 0, ' ');
    return out;
}

std::string printable(std::string_view text) {
    std::string out(text);
    std::ranges::replace_if(
        out, [](char c) { return (c >= 0 && c < 0x20 && c != '\n' && c != '\t') || c == 0x7f; },
        '?');
    return out;
}

}  // namespace regrow::cli
