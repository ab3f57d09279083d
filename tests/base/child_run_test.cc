#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/child_process.h"
#include "tests/support/control_loop.h"
#include "tests/support/processes.h"
#include "tests/support/temp_dir.h"

// Options that a case does not name keep their defaults.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

using namespace regrow;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

struct Run {
    test::ControlLoop control;
    std::vector<std::string> lines;
    std::optional<ChildRun::Outcome> outcome;
    std::unique_ptr<ChildRun> run;

    void start(SpawnOptions options, Duration deadline = 20s) {
        auto started = ChildRun::start(
            control.loop(), std::move(options), deadline,
            [this](std::string_view line) { lines.emplace_back(line); },
            [this](ChildRun::Outcome o) {
                REQUIRE_FALSE(outcome);
                outcome = std::move(o);
            });
        if (!started) FAIL(started.error().message);
        run = std::move(*started);
    }
    const ChildRun::Outcome& end() {
        REQUIRE(control.untilSet(outcome));
        return *outcome;
    }
};

}  // namespace

TEST_CASE("lines come as they are, the last one without its end too", "[child_run]") {
    Run r;
    r.start({.argv = test::shell("printf 'a\\n\\nb c\\nlast'; echo why >&2; exit 4")});
    CHECK(r.end().status.text() == "exit 4");
    CHECK(r.lines == std::vector<std::string>{"a", "", "b c", "last"});
    CHECK(r.outcome->stderr_tail == "why\n");
}

TEST_CASE("lines come before the end of the program", "[child_run]") {
    const test::TempDir dir;
    Run r;
    r.start({.argv = test::shell("echo first; while [ ! -e " + dir / "go" +
                                 " ]; do sleep 0.01; done")});
    REQUIRE(r.control.until([&] { return r.lines.size() == 1; }));
    CHECK_FALSE(r.outcome);
    REQUIRE(writeFileAtomic(dir / "go", ""));
    CHECK(r.end().status.ok());
}

TEST_CASE("a program that cannot be started is an error, not an outcome", "[child_run]") {
    test::ControlLoop control;
    const auto started = ChildRun::start(control.loop(), {.argv = {"/no/such"}}, 1s, {}, {});
    REQUIRE_FALSE(started);
    CHECK_THAT(started.error().message, Contains("/no/such"));
}

TEST_CASE("huge lines are cut at the limit, the next ones come whole", "[child_run]") {
    Run r;
    r.start({.argv = test::shell("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo next"),
             .line_limit = 1000});
    CHECK(r.end().status.ok());
    REQUIRE(r.lines.size() == 2);
    CHECK(r.lines[0] == std::string(1000, 'x'));
    CHECK(r.lines[1] == "next");
}

TEST_CASE("of standard error only the end is kept", "[child_run]") {
    Run r;
    r.start({.argv = test::shell("head -c 300000 /dev/zero | tr '\\0' e >&2; echo END >&2")});
    CHECK(r.end().stderr_tail.size() == 4096);
    CHECK_THAT(r.outcome->stderr_tail, Catch::EndsWith("eEND\n"));
}

TEST_CASE("what passes its deadline is killed with all it started", "[child_run]") {
    const test::TempDir dir;
    Run r;
    r.start({.argv = test::shell("echo $$ >> " + dir / "p" + "; sh -c 'echo $$ >> " + dir / "p" +
                                 "; exec sleep 60' & echo here; wait")},
            60s);
    REQUIRE(r.control.until([&] { return test::pidsIn(dir / "p").size() == 2; }));
    r.run->extend(1ms);
    CHECK(r.end().status.timed_out);
    CHECK_FALSE(r.outcome->status.ok());
    const auto pids = test::pidsIn(dir / "p");
    CHECK(r.control.until([&] { return !test::isAlive(pids[0]) && !test::isAlive(pids[1]); }));
}

TEST_CASE("what it left behind ends with it", "[child_run]") {
    const test::TempDir dir;
    Run r;
    r.start(
        {.argv = test::shell("sh -c 'echo $$ > " + dir / "p" + "; exec sleep 60' & while [ ! -s " +
                             dir / "p" + " ]; do sleep 0.01; done; exit 0")});
    CHECK(r.end().status.ok());
    const auto pids = test::pidsIn(dir / "p");
    REQUIRE(pids.size() == 1);
    CHECK(r.control.until([&] { return !test::isAlive(pids[0]); }));
}

TEST_CASE("one that left the group and writes for ever does not keep us", "[child_run]") {
    const test::TempDir dir;
    Run r;
    r.start({.argv = test::shell("setsid sh -c 'echo $$ > " + dir / "p" +
                                 "; exec yes' & while [ ! -s " + dir / "p" +
                                 " ]; do sleep 0.01; done; exit 0")});
    CHECK(r.end().status.ok());
    for (const pid_t pid : test::pidsIn(dir / "p")) ::kill(pid, SIGKILL);
}

TEST_CASE("destroying a run kills its whole group and calls nobody", "[child_run]") {
    const test::TempDir dir;
    Run r;
    r.start({.argv = test::shell("echo $$ >> " + dir / "p" + "; sh -c 'echo $$ >> " + dir / "p" +
                                 "; exec sleep 60' & wait")});
    REQUIRE(r.control.until([&] { return test::pidsIn(dir / "p").size() == 2; }));
    r.run.reset();
    const auto pids = test::pidsIn(dir / "p");
    CHECK(r.control.until([&] { return !test::isAlive(pids[0]) && !test::isAlive(pids[1]); }));
    CHECK_FALSE(r.outcome);
}

TEST_CASE("the run may be destroyed by its own end", "[child_run]") {
    test::ControlLoop control;
    std::unique_ptr<ChildRun> run;
    bool ended = false;
    auto started =
        ChildRun::start(control.loop(), {.argv = {"true"}}, 20s, {}, [&](const ChildRun::Outcome&) {
            run.reset();
            ended = true;
        });
    REQUIRE(started);
    run = std::move(*started);
    REQUIRE(control.until([&] { return ended; }));
}

TEST_CASE("a run has a session of its own and no input", "[child_run]") {
    Run r;
    r.start({.argv = test::shell("cut -d' ' -f6 /proc/$$/stat; echo $$; cat")});
    CHECK(r.end().status.ok());
    REQUIRE(r.lines.size() == 2);
    CHECK(r.lines[0] == r.lines[1]);
}
