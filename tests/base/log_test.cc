#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <sstream>
#include <thread>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using Catch::Matchers::Contains;

namespace {

// What reaches standard error while it lives.
class Captured {
  public:
    Captured() : saved_(::dup(2)) {
        const auto file = openFile(dir_ / "err", O_WRONLY | O_CREAT | O_APPEND);
        ::dup2(file->get(), 2);
    }
    ~Captured() { restore(); }
    std::vector<std::string> lines() {
        restore();
        std::vector<std::string> all;
        std::istringstream in(readFile(dir_ / "err").value());
        for (std::string line; std::getline(in, line);) all.push_back(line);
        return all;
    }

  private:
    void restore() {
        if (saved_) ::dup2(saved_.get(), 2);
        saved_.reset();
        log::init(log::Level::warn, log::Format::text);
    }
    test::TempDir dir_;
    UniqueFd saved_;
};

}  // namespace

TEST_CASE("every JSON line is valid, whatever is logged", "[log]") {
    Captured captured;
    log::init(log::Level::info, log::Format::json);
    const std::string nasty("quote \" back \\ newline \n zero \0 bytes \xff\xfe percent %v %% {}",
                            57);
    log::info("area", "{}", "plain");
    log::write(log::Level::warn, nasty, nasty);
    log::error("area", "{}", std::string(100'000, 'x'));
    const auto lines = captured.lines();
    REQUIRE(lines.size() == 3);
    for (const auto& line : lines) {
        const auto document = json::parse(line);
        REQUIRE(document);
        CHECK(json::getString(*document, "time"));
        CHECK(json::getString(*document, "level"));
        CHECK(json::getString(*document, "area"));
    }
    CHECK(json::getString(*json::parse(lines[0]), "message") == "plain");
    CHECK_THAT(*json::getString(*json::parse(lines[1]), "message"),
               Catch::StartsWith("quote \" back \\ newline \n zero ") &&
                   Catch::EndsWith("bytes \xef\xbf\xbd\xef\xbf\xbd percent %v %% {}"));
}

TEST_CASE("one event is one line of text, whatever is in its names", "[log]") {
    Captured captured;
    log::init(log::Level::info, log::Format::text);
    log::info("area", "first\nsecond\x1b[31m\xc3\xa4");
    const auto lines = captured.lines();
    REQUIRE(lines.size() == 1);
    CHECK_THAT(lines[0],
               Contains("info") && Catch::EndsWith("area: first\\x0asecond\\x1b[31m\xc3\xa4"));
}

TEST_CASE("what is below the level is not written", "[log]") {
    Captured captured;
    log::init(log::Level::warn, log::Format::text);
    CHECK_FALSE(log::enabled(log::Level::info));
    log::info("area", "no");
    log::warn("area", "yes");
    log::init(log::Level::off, log::Format::text);
    log::error("area", "no");
    CHECK(captured.lines().size() == 1);
}

TEST_CASE("threads do not mix their lines", "[log]") {
    Captured captured;
    log::init(log::Level::info, log::Format::json);
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([t] {
                for (int i = 0; i < 200; ++i) log::info("t", "{} {}", t, std::string(200, 'x'));
            });
    }
    const auto lines = captured.lines();
    CHECK(lines.size() == 800);
    for (const auto& line : lines) REQUIRE(json::parse(line));
}
