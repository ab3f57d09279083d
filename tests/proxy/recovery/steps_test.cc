#include "proxy/recovery/steps.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/text.h"
#include "tests/support/control_loop.h"
#include "tests/support/processes.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::recovery;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

constexpr const char* kSnapshot =
    R"({"id":"3f2a","name":"wiki/a","number":12,"epoch":4,"lineage":"l1","time":"2026-11-22T20:03:33.123Z",)"
    R"("type":"incremental","bytes":1000,"files":10,"new_bytes":100,"proven":true,"incomplete":false,)"
    R"("suspicious":false,"rescue":true,"problems":["a: unreadable"]})";

// A program in the place of our binary: it writes down its arguments, one a line, and then does
// what a test says.
struct Fixture {
    test::TempDir dir;
    test::ControlLoop loop;
    LocalSteps::Limits limits{20s, 20s, 20s};

    LocalSteps program(const std::string& script) {
        const std::string path = dir / "verb";
        REQUIRE(writeFileAtomic(path,
                                "#!/bin/sh\nprintf '%s\\n' \"$@\" > " + (dir / "args") +
                                    "\nDIR=" + dir.path() + "\n" + script + "\n",
                                0755)
                    .has_value());
        return LocalSteps(loop.loop(), path, limits);
    }
    std::string arguments() {
        std::string line = readFile(dir / "args").value_or("");
        for (char& c : line)
            if (c == '\n') c = ' ';
        return line;
    }

    template <class T>
    Result<T> wait(const std::function<Handle(OnDone<T>)>& begin) {
        std::optional<Result<T>> result;
        const Handle handle = begin([&](Result<T> r) { result = std::move(r); });
        CHECK_FALSE(result.has_value());  // never from within
        REQUIRE(loop.untilSet(result));
        return *result;
    }
    Result<CaptureResult> capture(const std::string& script, CaptureRequest request = {},
                                  OnProgress on_progress = nullptr) {
        auto steps = program(script);
        return wait<CaptureResult>([&](OnDone<CaptureResult> done) {
            return steps.capture(request, std::move(on_progress), std::move(done));
        });
    }
};

CaptureRequest aRequest() {
    CaptureRequest request;
    request.repository = {"/r", "/k"};
    request.name = "wiki/a";
    request.data = "/srv/a";
    return request;
}

std::string result(const std::string& rest) {
    return R"({"type":"result","ok":true)" + rest + "}";
}
std::string say(const std::string& json) {
    return "echo '" + json + "'";
}

}  // namespace

TEST_CASE("capture: what is asked and what is answered", "[steps]") {
    Fixture f;
    const CaptureRequest request{
        {"/repo", "/key"}, "wiki/a", "/srv/a", true, {"*.tmp", "cache"}, 4, "l1", true, true};
    const auto captured = f.capture(
        say(result(R"(,"unchanged":true,"took_ms":12.5,"snapshot":)" + std::string(kSnapshot))),
        request);
    REQUIRE(captured.has_value());
    CHECK(f.arguments() ==
          "backup --repo /repo --key-file /key --name wiki/a /srv/a --full --exclude *.tmp "
          "--exclude cache "
          "--epoch 4 --lineage l1 --rescue --expect-marker --json ");
    CHECK(captured->unchanged);
    CHECK(captured->took_ms == 12.5);
    const SnapshotInfo& s = captured->snapshot;
    CHECK(s.id == "3f2a");
    CHECK(s.name == "wiki/a");
    CHECK(s.number == 12);
    CHECK(s.epoch == 4);
    CHECK(s.lineage == "l1");
    CHECK(formatTime(s.time) == "2026-11-22T20:03:33.123Z");
    CHECK(s.type == "incremental");
    CHECK(s.bytes == 1000);
    CHECK(s.files == 10);
    CHECK(s.new_bytes == 100);
    CHECK(s.proven);
    CHECK_FALSE(s.incomplete);
    CHECK_FALSE(s.suspicious);
    CHECK(s.rescue);
    CHECK(s.problems == std::vector<std::string>{"a: unreadable"});
}

TEST_CASE("listing, restore, activate, untouched, fresh, pin: the same of each", "[steps]") {
    Fixture f;
    const RepositoryRef repository{"/repo", "/key"};
    SECTION("listing") {
        auto steps = f.program(say(R"({"snapshots":[)" + std::string(kSnapshot) +
                                   R"(],"repository":{"bytes":5,"free_bytes":6}})"));
        const auto listing = f.wait<SnapshotListing>([&](OnDone<SnapshotListing> done) {
            return steps.listSnapshots(repository, "wiki/a", std::move(done));
        });
        REQUIRE(listing.has_value());
        CHECK(f.arguments() == "snapshots --repo /repo --key-file /key wiki/a --json ");
        REQUIRE(listing->snapshots.size() == 1);
        CHECK(listing->snapshots[0].number == 12);
        CHECK(listing->space.bytes == 5);
        CHECK(listing->space.free_bytes == 6);
    }
    SECTION("restore") {
        auto steps = f.program(
            say(R"({"type":"progress","phase":"restore","done_bytes":1,"total_bytes":4,"done_files":0,"total_files":2})") +
            "\n" +
            say(result(
                R"(,"snapshot":"3f2a","restored_bytes":4,"files":2,"took_ms":9,"resumed":true)")));
        std::vector<Progress> seen;
        const auto restored = f.wait<RestoreResult>([&](OnDone<RestoreResult> done) {
            return steps.restore(
                {repository, "wiki/a", "3f2a", "/srv/b.staging", "r1"},
                [&](const Progress& p) { seen.push_back(p); }, std::move(done));
        });
        REQUIRE(restored.has_value());
        CHECK(f.arguments() ==
              "restore --repo /repo --key-file /key --name wiki/a --at 3f2a --to "
              "/srv/b.staging --staging --resume --recovery r1 --json ");
        CHECK(restored->snapshot == "3f2a");
        CHECK(restored->restored_bytes == 4);
        CHECK(restored->resumed);
        REQUIRE(seen.size() == 1);
        CHECK(seen[0].phase == "restore");
        CHECK(seen[0].fraction() == 0.25);
    }
    SECTION("activate") {
        auto steps = f.program(say(result(R"(,"digest":"d1","old":"/srv/b.old")")));
        const auto activated = f.wait<ActivateResult>([&](OnDone<ActivateResult> done) {
            return steps.activate({"/srv/b.staging", "/srv/b", "r1", 5, "wiki/a", "l2", "3f2a"},
                                  nullptr, std::move(done));
        });
        REQUIRE(activated.has_value());
        CHECK(f.arguments() ==
              "step activate --staging /srv/b.staging --data /srv/b --recovery r1 --epoch 5 "
              "--backend wiki/a --lineage l2 --snapshot 3f2a --json ");
        CHECK(activated->digest == "d1");
        CHECK(activated->old == "/srv/b.old");
    }
    SECTION("untouched") {
        auto steps = f.program(say(result(R"(,"untouched":false,"reasons":["x vanished"])")));
        const auto looked = f.wait<UntouchedResult>([&](OnDone<UntouchedResult> done) {
            return steps.untouched(
                {repository, "wiki/a", "/srv/a", parseTime("2026-11-22T20:03:33.123Z").value()},
                std::move(done));
        });
        REQUIRE(looked.has_value());
        CHECK(f.arguments() ==
              "step untouched --repo /repo --key-file /key --name wiki/a --data /srv/a "
              "--exited-at 2026-11-22T20:03:33.123Z --json ");
        CHECK_FALSE(looked->untouched);
        CHECK(looked->reasons == std::vector<std::string>{"x vanished"});
    }
    SECTION("fresh and pin") {
        auto steps = f.program(say(result("")));
        CHECK(f.wait<void>([&](OnDone<void> done) {
                   return steps.fresh({"/srv/a", "wiki/a", "l1", 1}, std::move(done));
               }).has_value());
        CHECK(f.arguments() ==
              "step fresh --data /srv/a --backend wiki/a --lineage l1 --epoch 1 --json ");
        CHECK(f.wait<void>([&](OnDone<void> done) {
                   return steps.pin({repository, "wiki/a", "3f2a", "r1", 24h}, std::move(done));
               }).has_value());
        CHECK(f.arguments() ==
              "step pin --repo /repo --key-file /key --name wiki/a --at 3f2a --recovery r1 --for "
              "1d --json ");
    }
}

TEST_CASE("a verb's error arrives as it was meant", "[steps]") {
    Fixture f;
    const auto failed = f.capture(
        say(R"({"type":"error","code":"refused","source":"repository","retryable":true,"message":"epoch 3 is old"})") +
            "; exit 3",
        aRequest());
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == Code::refused);
    CHECK(failed.error().source == Source::repository);
    CHECK(failed.error().retryable);
    CHECK(failed.error().message == "backup of wiki/a: epoch 3 is old");
}

TEST_CASE("a verb that breaks the protocol is an error that says what it did", "[steps]") {
    Fixture f;
    const auto broken = [&](const std::string& script) {
        const auto captured = f.capture(script, aRequest());
        REQUIRE_FALSE(captured.has_value());
        return captured.error();
    };
    const std::string good = say(result(R"(,"snapshot":)" + std::string(kSnapshot)));
    CHECK_THAT(broken("exit 0").message, Contains("ended without a result: it said nothing"));
    CHECK_THAT(broken("exit 1").message, Contains("exit 1: it said nothing"));
    CHECK_THAT(broken("echo no key >&2; exit 2").message, Contains("exit 2: no key"));
    CHECK(broken("exit 3").code == Code::refused);
    CHECK_THAT(broken("echo hello; exit 0").message, Contains("it said 'hello'"));
    CHECK_THAT(broken("echo '{\"type\":\"result\",'").message, Contains("without a result"));
    CHECK_THAT(broken("echo '[1,2]'; echo 42").message, Contains("without a result"));
    CHECK_THAT(broken(good + "; exit 1").message,
               Contains("exit 1"));  // a result is none after a failure
    CHECK_THAT(broken(good + "; kill -9 $$").message, Contains("killed by SIGKILL"));
    CHECK(broken("kill -9 $$").retryable);
    CHECK_FALSE(broken("exit 1").retryable);
    CHECK_THAT(broken(say(result(""))).message, Contains("no valid 'snapshot'"));
    CHECK_THAT(broken(say(result(R"(,"snapshot":{"id":7})"))).message, Contains("'snapshot.id'"));
    CHECK_THAT(broken(say(result(R"(,"snapshot":{"id":"a","time":"yesterday"})"))).message,
               Contains("'snapshot.time'"));
    CHECK_THAT(broken("head -c 3000000 /dev/zero | tr '\\0' x").message, Contains("it said 'xxx"));
}

TEST_CASE("what is not said of a snapshot is taken for the worse", "[steps]") {
    Fixture f;
    const auto captured =
        f.capture(say(result(R"(,"snapshot":{"id":"a","time":"2026-11-22T20:03:33Z"})")));
    REQUIRE(captured.has_value());
    CHECK_FALSE(captured->snapshot.proven);
    CHECK(captured->snapshot.incomplete);
}

TEST_CASE("noise around a result does no harm, nor does a result of many megabytes", "[steps]") {
    Fixture f;
    auto steps = f.program("echo warming up; " + say(R"({"type":"news"})") +
                           "; printf '{\"snapshots\":['; " +
                           "i=0; while [ $i -lt 5000 ]; do printf '%s,' '" + kSnapshot +
                           "'; i=$((i+1)); done; printf '%s]}\\n' '" + kSnapshot + "'; echo bye");
    const auto listing = f.wait<SnapshotListing>([&](OnDone<SnapshotListing> done) {
        return steps.listSnapshots({"/r", "/k"}, "", std::move(done));
    });
    REQUIRE(listing.has_value());
    CHECK(listing->snapshots.size() == 5001);
}

TEST_CASE("silence has a deadline that progress extends", "[steps]") {
    Fixture f;
    f.limits.silence = 400ms;
    const std::string progress =
        R"(echo "{\"type\":\"progress\",\"phase\":\"read\",\"done_bytes\":$i,\"total_bytes\":9}")";
    SECTION("hangs") {
        const auto captured = f.capture("echo $$ > $DIR/pid; sleep 1000 & wait", aRequest());
        REQUIRE_FALSE(captured.has_value());
        CHECK(captured.error().code == Code::timeout);
        CHECK(captured.error().retryable);
        CHECK(captured.error().message ==
              "backup of wiki/a made no progress for 400 ms and was killed");
        CHECK_FALSE(test::isAlive(test::pidsIn(f.dir / "pid")[0]));
    }
    SECTION("works for longer than that") {
        const auto captured =
            f.capture("for i in 1 2 3 4 5 6 7 8; do " + progress + "; sleep 0.1; done; " +
                      say(result(R"(,"snapshot":)" + std::string(kSnapshot))));
        CHECK(captured.has_value());
    }
    SECTION("says the same for ever") {
        const auto captured = f.capture("i=1; while :; do " + progress + "; sleep 0.05; done");
        REQUIRE_FALSE(captured.has_value());
        CHECK(captured.error().code == Code::timeout);
    }
}

TEST_CASE("a step that is dropped is killed and never answers", "[steps]") {
    Fixture f;
    auto steps = f.program("echo $$ > $DIR/pid; exec sleep 1000");
    Handle handle = steps.restore({{"/r", "/k"}, "n", "s", "/x", "r1"}, nullptr,
                                  [](const auto&) { FAIL("answered"); });
    REQUIRE(f.loop.until([&] { return !test::pidsIn(f.dir / "pid").empty(); }));
    const pid_t pid = test::pidsIn(f.dir / "pid")[0];
    handle.reset();
    CHECK(f.loop.until([&] { return !test::isAlive(pid); }));
}

TEST_CASE("a binary that is not there is an answer like any other", "[steps]") {
    Fixture f;
    LocalSteps steps(f.loop.loop(), "/nonexistent/regrow");
    const auto restored = f.wait<RestoreResult>([&](OnDone<RestoreResult> done) {
        return steps.restore({{"/r", "/k"}, "n", "s", "/x", "r1"}, nullptr, std::move(done));
    });
    REQUIRE_FALSE(restored.has_value());
    CHECK_THAT(restored.error().message,
               Contains("restoring snapshot s of n") && Contains("/nonexistent/regrow"));
}

TEST_CASE("captures step back for everybody, rescues and restores do not", "[steps]") {
    Fixture f;
    auto steps = f.program("echo $$ > $DIR/pid; exec sleep 1000");
    const auto priorityOf = [&](const std::function<Handle()>& begin) {
        ::unlink((f.dir / "pid").c_str());
        const Handle handle = begin();
        REQUIRE(f.loop.until([&] { return !test::pidsIn(f.dir / "pid").empty(); }));
        const auto pid = test::pidsIn(f.dir / "pid")[0];
        return std::pair(::getpriority(PRIO_PROCESS, static_cast<id_t>(pid)),
                         ::syscall(SYS_ioprio_get, 1, pid) & 7);
    };
    const int ours = ::getpriority(PRIO_PROCESS, 0);
    CaptureRequest request;
    const auto captured =
        priorityOf([&] { return steps.capture(request, nullptr, [](const auto&) {}); });
    CHECK(captured.first == std::max(ours, 10));
    CHECK(captured.second == 7);
    request.rescue = true;
    CHECK(priorityOf([&] { return steps.capture(request, nullptr, [](const auto&) {}); }).first ==
          ours);
}

TEST_CASE("staging lies beside the data", "[steps]") {
    CHECK(stagingPath("/srv/wiki", "r1") == "/srv/wiki.regrow-staging-r1");
    CHECK(stagingPath("/srv/wiki//", "r1") == "/srv/wiki.regrow-staging-r1");
}
