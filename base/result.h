#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace regrow {

// Whose fault it was. Blame decides what a counter says and whether a backend's health suffers.
enum class Source { client, upstream, disk, config, repository, us };

// What kind of thing went wrong. Small on purpose: callers branch on it, people read the message.
enum class Code {
    invalid,      // the input breaks a rule
    not_found,    // the named thing does not exist
    exists,       // it exists and must not
    refused,      // it would lose data or break an invariant; the message names the flag or remedy
    corrupt,      // bytes do not match their seal, hash or form
    unavailable,  // a peer, disk or repository does not answer now
    timeout,      // a deadline passed
    no_space,     // disk full
    permission,   // the operating system says no
    cancelled,    // somebody asked to stop
    io,           // any other system error
    internal,     // a library failed in a way we did not foresee
};

// An error as a value: returned with context by everyone on the way up, logged once at the top.
// "Would block" and "end of file" are outcomes, not errors. A bug asserts instead.
struct Error {
    Code code = Code::internal;
    Source source = Source::us;
    bool retryable =
        false;  // whether the same call may succeed later without anybody changing anything
    std::string message;  // what, where, and what to do; no trailing full stop or newline

    // "context: message", for a caller that knows more of what was being done.
    Error in(std::string_view context) &&;
};

template <class T = void>
using Result = std::expected<T, Error>;

std::unexpected<Error> fail(Code code, Source source, std::string message);
// From an errno value: "what: strerror", with the code (no_space, permission, …) that fits.
std::unexpected<Error> failErrno(int error_number, std::string_view what,
                                 Source source = Source::disk);

std::string_view name(Code code);
std::string_view name(Source source);

}  // namespace regrow

#define REGROW_CONCAT_INNER(a, b) a##b
#define REGROW_CONCAT(a, b) REGROW_CONCAT_INNER(a, b)
// REGROW_TRY(auto file, openFile(path)); returns the error of the expression or binds its value.
// Ends in a semicolon of its own making: the declaration stays in scope.
// NOLINTBEGIN(bugprone-macro-parentheses): a declaration takes none
#define REGROW_TRY(declaration, expression)                                       \
    auto REGROW_CONCAT(try_, __LINE__) = (expression);                            \
    if (!REGROW_CONCAT(try_, __LINE__))                                           \
        return std::unexpected(std::move(REGROW_CONCAT(try_, __LINE__)).error()); \
    declaration = *std::move(REGROW_CONCAT(try_, __LINE__))
// NOLINTEND(bugprone-macro-parentheses)
// For a Result<void>.
#define REGROW_CHECK(expression)                                                    \
    do {                                                                            \
        auto check_result = (expression);                                           \
        if (!check_result) return std::unexpected(std::move(check_result).error()); \
    } while (false)
