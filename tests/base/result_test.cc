#include "base/result.h"

#include <catch2/catch.hpp>
#include <cerrno>

using namespace regrow;

namespace {

Result<int> half(int n) {
    if (n % 2 != 0) return fail(Code::invalid, Source::client, std::to_string(n) + " is odd");
    return n / 2;
}

Result<std::string> quarter(int n) {
    REGROW_TRY(const int first, half(n));
    REGROW_TRY(const int second, half(first));
    return std::to_string(second);
}

Result<> evenOnly(int n) {
    REGROW_CHECK(half(n));
    return {};
}

}  // namespace

TEST_CASE("an error goes up unchanged, a value is bound", "[result]") {
    CHECK(quarter(8).value() == "2");
    const auto odd = quarter(6);
    REQUIRE_FALSE(odd);
    CHECK(odd.error().message == "3 is odd");
    CHECK(odd.error().source == Source::client);
    CHECK(evenOnly(2));
    CHECK(evenOnly(3).error().code == Code::invalid);
}

TEST_CASE("context is put before what was said", "[result]") {
    auto error = half(1).error();
    CHECK(std::move(error).in("reading x").message == "reading x: 1 is odd");
}

TEST_CASE("only what may pass by itself is retryable", "[result]") {
    CHECK(fail(Code::unavailable, Source::upstream, "").error().retryable);
    CHECK(fail(Code::timeout, Source::upstream, "").error().retryable);
    for (const auto code : {Code::invalid, Code::refused, Code::corrupt, Code::no_space, Code::io})
        CHECK_FALSE(fail(code, Source::us, "").error().retryable);
}

TEST_CASE("errno becomes a code that callers branch on and a text with its subject", "[result]") {
    const auto codeOf = [](int number) { return failErrno(number, "x").error().code; };
    CHECK(codeOf(ENOENT) == Code::not_found);
    CHECK(codeOf(EEXIST) == Code::exists);
    CHECK(codeOf(ENOSPC) == Code::no_space);
    CHECK(codeOf(EDQUOT) == Code::no_space);
    CHECK(codeOf(EROFS) == Code::permission);
    CHECK(codeOf(ECONNREFUSED) == Code::unavailable);
    CHECK(codeOf(ETIMEDOUT) == Code::timeout);
    CHECK(codeOf(EIO) == Code::io);
    CHECK(failErrno(ENOSPC, "/data/x").error().message == "/data/x: No space left on device");
    CHECK(name(Code::no_space) == "no_space");
    CHECK(name(Source::repository) == "repository");
}
