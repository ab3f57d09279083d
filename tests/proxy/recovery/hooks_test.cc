#include "proxy/recovery/hooks.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/text.h"
#include "proxy/recovery/command_run.h"
#include "tests/support/control_loop.h"
#include "tests/support/processes.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::recovery;
using namespace std::chrono_literals;
using test::shell;

namespace {

Result<std::string> run(test::ControlLoop& loop, const conf::Hook& hook,
                        const HookContext& context = {}) {
    std::optional<Result<std::string>> result;
    const Handle handle = runHook(loop.loop(), "prepare", hook, context,
                                  [&](Result<std::string> r) { result = std::move(r); });
    CHECK_FALSE(result.has_value());  // never from within
    REQUIRE(loop.untilSet(result));
    return *result;
}

}  // namespace

TEST_CASE("a hook's environment names what is known and nothing else", "[hooks]") {
    HookContext context;
    context.pool = "wiki";
    context.backend = "wiki-1";
    context.epoch = 7;
    context.old_data = "/srv/a b";
    context.snapshot_time = parseTime("2026-11-22T20:03:33.123Z").value();
    const auto environment = hookEnvironment("prepare", context);
    const std::vector<std::string> expected = {
        "REGROW_STEP=prepare",      "REGROW_POOL=wiki",
        "REGROW_BACKEND=wiki-1",    "REGROW_EPOCH=7",
        "REGROW_OLD_DATA=/srv/a b", "REGROW_SNAPSHOT_TIME=2026-11-22T20:03:33.123Z"};
    CHECK(environment == expected);
}

TEST_CASE("every documented variable reaches the hook", "[hooks]") {
    test::ControlLoop loop;
    test::TempDir dir;
    HookContext context{
        "p",    "b",         "p/s",    "r1",   3,          "/old", "1.2.3.4:1",
        "/new", "1.2.3.4:2", "/stage", "abcd", WallTime{}, "line", "killed by SIGKILL",
        "done"};
    const auto result =
        run(loop, {shell("env | grep ^REGROW_ | sort > " + (dir / "env") + "; echo said"), 10s},
            context);
    REQUIRE(result.has_value());
    CHECK(*result == "said");
    const auto seen = readFile(dir / "env").value();
    for (const char* line :
         {"REGROW_POOL=p\n", "REGROW_BACKEND=b\n", "REGROW_SERVER=p/s\n", "REGROW_RECOVERY=r1\n",
          "REGROW_EPOCH=3\n", "REGROW_STEP=prepare\n", "REGROW_OLD_DATA=/old\n",
          "REGROW_OLD_ADDRESS=1.2.3.4:1\n", "REGROW_DATA=/new\n", "REGROW_ADDRESS=1.2.3.4:2\n",
          "REGROW_STAGING=/stage\n", "REGROW_SNAPSHOT=abcd\n", "REGROW_LINEAGE=line\n",
          "REGROW_SNAPSHOT_TIME=1970-01-01T00:00:00.000Z\n", "REGROW_REASON=killed by SIGKILL\n",
          "REGROW_RESULT=done\n"})
        CHECK_THAT(seen, Catch::Contains(line));
}

TEST_CASE("a hook that fails says how, with the end of what it said", "[hooks]") {
    test::ControlLoop loop;
    SECTION("exit code") {
        const auto result = run(loop, {shell("echo first >&2; echo no licence >&2; exit 3"), 10s});
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().message ==
              "prepare hook /bin/sh ended with exit 3: first | no licence");
        CHECK_FALSE(result.error().retryable);
    }
    SECTION("signal") {
        const auto result = run(loop, {shell("kill -9 $$"), 10s});
        REQUIRE_FALSE(result.has_value());
        CHECK_THAT(result.error().message, Catch::Contains("killed by SIGKILL"));
    }
    SECTION("no such program") {
        const auto result = run(loop, {{"/nonexistent/hook"}, 10s});
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().code == Code::not_found);
        CHECK_THAT(result.error().message, Catch::Contains("/nonexistent/hook"));
    }
    SECTION("empty") {
        CHECK_FALSE(run(loop, {{}, 10s}).has_value());
    }
    SECTION("its timeout, with what left for a session of its own") {
        test::TempDir dir;
        const auto result = run(loop, {shell("setsid sh -c 'echo $$ > " + (dir / "pid") +
                                             "; exec sleep 1000' & while :; do sleep 1; done"),
                                       500ms});
        REQUIRE_FALSE(result.has_value());
        CHECK_THAT(result.error().message, Catch::Contains("within 500 ms"));
        const auto pids = test::pidsIn(dir / "pid");
        REQUIRE(pids.size() == 1);
        CHECK_FALSE(test::isAlive(pids[0]));
    }
    SECTION("its timeout, with all it started") {
        test::TempDir dir;
        const auto result =
            run(loop, {shell("sleep 1000 & echo $! > " + (dir / "pid") + "; wait"), 300ms});
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().code == Code::timeout);
        CHECK_THAT(result.error().message, Catch::Contains("within 300 ms"));
        const auto pids = test::pidsIn(dir / "pid");
        REQUIRE(pids.size() == 1);
        CHECK(loop.until([&] { return !test::isAlive(pids[0]); }));
    }
}

TEST_CASE("a hook that is dropped is killed and never answers", "[hooks]") {
    test::ControlLoop loop;
    test::TempDir dir;
    Handle handle = runHook(loop.loop(), "verify",
                            {shell("echo $$ > " + (dir / "pid") + "; exec sleep 1000"), 60s}, {},
                            [](const auto&) { FAIL("answered"); });
    REQUIRE(loop.until([&] { return !test::pidsIn(dir / "pid").empty(); }));
    const pid_t pid = test::pidsIn(dir / "pid")[0];
    handle.reset();
    CHECK(loop.until([&] { return !test::isAlive(pid); }));
}

TEST_CASE("of what a hook says its end is kept, however much it is", "[hooks]") {
    OutputTail tail;
    tail.add("");
    CHECK(tail.lines().empty());
    for (int i = 0; i < 100'000; i++) tail.add("line " + std::to_string(i));
    CHECK(tail.lines().size() == OutputTail::kLines);
    CHECK(tail.lines().back() == "line 99999");
    CHECK(tail.leftOut() > 900'000);
    tail.add(std::string(3'000'000, 'x'));
    CHECK(tail.lines() == std::deque<std::string>{std::string(OutputTail::kBytes, 'x')});

    test::ControlLoop loop;
    const auto result =
        run(loop,
            {shell("head -c 3000000 /dev/zero | tr '\\0' x; yes | head -n 200000; echo; echo end"),
             30s});
    REQUIRE(result.has_value());
    CHECK(*result == "end");
}

TEST_CASE("a callback may drop the hook it came from", "[hooks]") {
    test::ControlLoop loop;
    bool answered = false;
    Handle handle;
    for (const auto& argv : {shell("exit 0"), conf::Argv{"/nonexistent"}}) {
        answered = false;
        handle = runHook(loop.loop(), "after", {argv, 10s}, {}, [&](const auto&) {
            handle.reset();
            answered = true;
        });
        CHECK(loop.until([&] { return answered; }));
    }
}
