#include "proxy/serve/access_log.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::serve;
using namespace std::chrono_literals;

namespace {

std::string written(void (*write)(LogWriter&), bool json = false, size_t room = 64) {
    std::string memory(room, '?');
    LogWriter to(memory.data(), memory.data() + memory.size(), json);
    write(to);
    memory.resize(static_cast<size_t>(to.at() - memory.data()));
    return memory;
}

// What stands in the file after one request.
std::string lineOf(const LogDraft::Request& request, const LogLine& line, bool json) {
    const test::TempDir dir;
    const std::string path = dir.path() + "/log";
    AccessLog log(path, json);
    LogDraft draft;
    draft.begin(request, json);
    log.add(draft, line);
    log.flush();
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("times are written in milliseconds with three decimals, never below zero") {
    CHECK(written([](LogWriter& to) { to << Duration(12'345'678ns); }) == "12.345");
    CHECK(written([](LogWriter& to) { to << Duration(7us); }) == "0.007");
    CHECK(written([](LogWriter& to) { to << Duration(90s); }) == "90000.000");
    CHECK(written([](LogWriter& to) { to << Duration(-5ms); }) == "0.000");
}

TEST_CASE("what a client chose cannot leave its quotes") {
    const auto write = [](LogWriter& to) { to.escaped("a\"b\\c\n\x1b[2J\x7f\xff", 64); };
    CHECK(written(write) == R"(a\"b\\c\x0a\x1b[2J\x7f\xff)");
    CHECK(written(write, true) == R"(a\"b\\c\u000a\u001b[2J\u007f\u00ff)");
}

TEST_CASE("long texts are cut, and what does not fit is left out") {
    CHECK(written([](LogWriter& to) { to.escaped("abcdef", 4); }) == "abcd...");
    CHECK(written([](LogWriter& to) { to.escaped("abcd", 4); }) == "abcd");
    CHECK(written([](LogWriter& to) { to << "abc" << "defgh" << uint64_t{12345} << "i"; }, false,
                  5) == "abci");
}

TEST_CASE("a line has what the request and its answer were") {
    const std::string line = lineOf({"GET", "/a", "HTTP/1.1", "", "curl"},
                                    {.client = "192.0.2.1",
                                     .status = 200,
                                     .bytes = 12,
                                     .duration = 1500us,
                                     .pool = "wiki",
                                     .backend = "wiki-1",
                                     .upstream = 1ms,
                                     .retries = 1,
                                     .held = 2s},
                                    false);
    CHECK(line.starts_with("192.0.2.1 - - ["));
    CHECK(line.ends_with(
        "] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl\" 1.500ms wiki/wiki-1 upstream=1.000ms "
        "retries=1 held=2000ms why=- detail=\"-\"\n"));
}

TEST_CASE("a line in JSON is JSON, whatever the client sent") {
    std::string odd(5000, '\xff');
    const std::array<char, 5> worst = {'\x01', '"', '\\', '\xff', '\n'};
    for (size_t i = 0; i < odd.size(); i += 7) odd[i] = worst[i % worst.size()];
    const std::string line = lineOf({"GET", odd, "HTTP/1.1", odd, odd}, LogLine(), true);
    CHECK(std::ranges::count(line, '\n') == 1);
    const auto parsed = json::parse(line);
    REQUIRE(parsed);
    CHECK((*parsed)["agent"].IsString());
    CHECK((*parsed)["why"].IsString());
}
