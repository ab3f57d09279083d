#include "proxy/recovery/fence.h"

#include <catch2/catch.hpp>

#include "tests/support/control_loop.h"
#include "tests/support/processes.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::recovery;
using namespace std::chrono_literals;
using Catch::Contains;
using test::shell;

namespace {

struct Fixture {
    test::TempDir temp;
    test::ControlLoop loop;
    std::unique_ptr<Supervisor> supervisor;
    FenceRequest request;

    Fixture() {
        Supervisor::Limits limits;
        limits.settle = 200ms;
        limits.status_every = 10ms;
        supervisor = Supervisor::create(loop.loop(), temp.path(), nullptr, limits).value();
        request.server.key = "wiki/wiki-1";
        request.server.service.environment = {"DIR=" + temp.path()};
        request.context.pool = "wiki";
        request.deadline = 10s;
    }

    FenceOutcome run() {
        std::optional<FenceOutcome> outcome;
        const Handle handle = fence(loop.loop(), *supervisor, request,
                                    [&](FenceOutcome o) { outcome = std::move(o); });
        CHECK_FALSE(outcome.has_value());
        REQUIRE(loop.untilSet(outcome));
        return *outcome;
    }

    void hook(const std::string& script, Duration timeout = 10s) {
        request.hook = conf::Hook{shell("DIR=" + temp.path() + "; " + script), timeout};
    }
};

}  // namespace

TEST_CASE("a supervised server is fenced when /proc shows nobody of it", "[fence]") {
    Fixture f;
    f.request.server.service.run =
        shell("setsid sh -c 'echo $$ >> $DIR/pids; kill -STOP $$' & echo $$ >> $DIR/pids; wait");
    std::optional<Result<ProcessId>> started;
    f.supervisor->start(
        f.request.server, 1, [](const ProcessId&) -> Result<> { return {}; },
        [&](Result<ProcessId> r) { started = std::move(r); });
    REQUIRE(f.loop.until([&] { return test::pidsIn(f.temp / "pids").size() == 2; }));
    const auto outcome = f.run();
    CHECK(outcome.fenced);
    CHECK_THAT(outcome.detail, Contains("processes ended"));
    for (const pid_t pid : test::pidsIn(f.temp / "pids")) CHECK_FALSE(test::isAlive(pid));
    CHECK(f.run().fenced);  // again, after a crash of ours for example
}

TEST_CASE("a foreign server is fenced when its status says so", "[fence]") {
    Fixture f;
    auto& service = f.request.server.service;
    service.start = shell("exit 1");
    service.stop = shell("echo stopped > $DIR/state");
    service.status = shell("! grep -q stopped $DIR/state");
    SECTION("honest") {
        CHECK(f.run().fenced);
    }
    SECTION("a stop that lies") {
        service.stop = shell("exit 0");
        const auto outcome = f.run();
        CHECK_FALSE(outcome.fenced);
        CHECK_THAT(outcome.detail, Contains("status action says running"));
    }
    SECTION("a stop that lies, but the hook cuts the power") {
        service.stop = shell("exit 0");
        f.hook("echo off");
        CHECK(f.run().fenced);
    }
    SECTION("no status: a stop proves nothing") {
        service.status.clear();
        CHECK_FALSE(f.run().fenced);
        CHECK(exists(f.temp / "state"));  // tried all the same
    }
}

TEST_CASE("the fence hook is the operator's word", "[fence]") {
    Fixture f;
    SECTION("alone") {
        f.hook("echo $REGROW_STEP $REGROW_POOL > $DIR/hook");
        const auto outcome = f.run();
        CHECK(outcome.fenced);
        CHECK(outcome.detail == "the fence hook succeeded");
        CHECK(readFile(f.temp / "hook").value() == "fence wiki\n");
    }
    SECTION("its failure fails the fence, also of a server that is gone") {
        f.request.server.service.run = {"true"};
        f.hook("echo no route to the switch >&2; exit 1");
        const auto outcome = f.run();
        CHECK_FALSE(outcome.fenced);
        CHECK_THAT(outcome.detail, Contains("no route to the switch"));
    }
    SECTION("it has the deadline of the fence") {
        f.request.deadline = 200ms;
        f.hook("exec sleep 1000", 1h);
        const auto outcome = f.run();
        CHECK_FALSE(outcome.fenced);
        CHECK_THAT(outcome.detail, Contains("within 200 ms"));
    }
}

TEST_CASE("nobody can say is said", "[fence]") {
    Fixture f;
    const auto outcome = f.run();
    CHECK_FALSE(outcome.fenced);
    CHECK_THAT(outcome.detail, Contains("unconfirmed: nobody can say that the old server is gone"));
}

TEST_CASE("a stop that hangs does not hold the fence beyond its deadline", "[fence]") {
    Fixture f;
    f.request.deadline = 200ms;
    f.request.server.service.stop = shell("sleep 1000");
    f.request.server.service.status = shell("exit 0");
    const auto outcome = f.run();
    CHECK_FALSE(outcome.fenced);
    CHECK(outcome.detail == "stopping wiki/wiki-1 did not end within 200 ms");
}

TEST_CASE("a dropped fence does not answer", "[fence]") {
    Fixture f;
    f.request.server.service.run = {"true"};
    f.hook("exit 0");
    fence(f.loop.loop(), *f.supervisor, f.request, [](const FenceOutcome&) {
        FAIL("answered");
    }).reset();
    std::optional<Result<std::string>> killed;
    f.supervisor->kill(f.request.server, [&](Result<std::string> r) { killed = std::move(r); });
    CHECK(f.loop.untilSet(killed));
}
