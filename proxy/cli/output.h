#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

// How the verbs speak: results on standard output, everything else on standard error. Any thread.
namespace regrow::cli {

constexpr int kExitDone = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitRefused = 3;

// Says "regrow: message" and returns the exit code that fits; what the caller typed wrong
// (Code::invalid, Source::client) is usage.
int report(const Error& error);
void print(std::string_view text);  // to standard output, as it is

// Colours only for a person: standard output is a terminal, NO_COLOR is not set, TERM is not dumb.
bool wantsColour();

// The colour of a state or result word ("up", "down", "done", …) around `text`; `text` alone when
// `on` is false.
std::string tinted(std::string_view text, std::string_view word, bool on);
std::string bold(std::string_view text, bool on);
std::string faint(std::string_view text, bool on);

// Padded to a width in columns (names are ASCII or counted by code points), so that colours do not
// count.
std::string padded(std::string_view text, size_t width);
size_t columns(std::string_view text);
// What comes from outside printed without control characters: no escape sequence of a log line
// reaches a terminal.
std::string printable(std::string_view text);

}  // namespace regrow::cli
