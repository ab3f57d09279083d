#include "proxy/recovery/backup_schedule.h"

#include <catch2/catch.hpp>

using namespace regrow;
using namespace regrow::recovery;
using namespace std::chrono_literals;

namespace {

struct Fixture {
    ManualClock clock;
    BackupSchedule schedule;

    Fixture() { schedule.configure("wiki/a", {5s, 24h}); }

    std::optional<BackupSchedule::Due> next() { return schedule.next(clock.now()); }
    BackupSchedule::Due expectDue() {
        const auto due = next();
        REQUIRE(due.has_value());
        return *due;
    }
    bool finish(const BackupSchedule::Due& due, const Result<>& outcome = {}) {
        return schedule.finished(due, outcome, clock.now());
    }
    BackupSchedule::Status status(const std::string& name = "wiki/a") {
        return schedule.status(name).value();
    }
};

const Result<> kDiskFull = fail(Code::no_space, Source::disk, "no space left");

}  // namespace

TEST_CASE("the first capture is full and due as soon as the backend came up", "[backup_schedule]") {
    Fixture f;
    f.clock.advance(1h);
    CHECK_FALSE(f.next());
    CHECK_FALSE(f.schedule.wakeAt());
    CHECK(f.status().pause_reason == "not up yet");

    f.schedule.cameUp("wiki/a", f.clock.now());
    CHECK(f.schedule.wakeAt() == f.clock.now());
    const auto due = f.expectDue();
    CHECK(due.backend == "wiki/a");
    CHECK(due.full);
    CHECK_FALSE(due.requested);
    CHECK(f.finish(due));
}

TEST_CASE("every counts from start to start, and two are never under way", "[backup_schedule]") {
    Fixture f;
    f.schedule.cameUp("wiki/a", f.clock.now());
    auto due = f.expectDue();
    f.clock.advance(2s);
    CHECK_FALSE(f.next());
    CHECK_FALSE(f.schedule.wakeAt());
    CHECK(f.finish(due));
    CHECK(f.status().next == f.clock.now() + 3s);
    f.clock.advance(3s - 1ns);
    CHECK_FALSE(f.next());
    f.clock.advance(1ns);
    due = f.expectDue();
    CHECK_FALSE(due.full);

    SECTION("one that takes longer is followed at once, but not by those it missed") {
        f.clock.advance(17s);
        CHECK_FALSE(f.next());
        CHECK(f.finish(due));
        due = f.expectDue();
        CHECK(f.finish(due));
        CHECK_FALSE(f.next());
    }
}

TEST_CASE("full again after its period, also when the full one failed", "[backup_schedule]") {
    Fixture f;
    f.schedule.cameUp("wiki/a", f.clock.now());
    CHECK(f.finish(f.expectDue(), kDiskFull));
    f.clock.advance(5s);
    CHECK(f.expectDue().full);  // still none
    Fixture g;
    g.schedule.knownFull("wiki/a", g.clock.now() - 24h + 10s);
    g.schedule.cameUp("wiki/a", g.clock.now());
    auto due = g.expectDue();
    CHECK_FALSE(due.full);
    CHECK(g.finish(due));
    g.clock.advance(10s);
    due = g.expectDue();
    CHECK(due.full);
    CHECK(g.finish(due));
    g.clock.advance(5s);
    CHECK_FALSE(g.expectDue().full);
}

TEST_CASE("failures back off up to a minute and are shown", "[backup_schedule]") {
    Fixture f;
    f.schedule.cameUp("wiki/a", f.clock.now());
    for (const auto wait : {5s, 10s, 20s, 40s, 60s, 60s, 60s}) {
        CHECK(f.finish(f.expectDue(), kDiskFull));
        CHECK(f.status().next == f.clock.now() + wait);
        CHECK(f.status().last_error == "no space left");
        f.clock.advance(wait);
    }
    CHECK(f.status().failures == 7);
    CHECK_FALSE(f.status().last_good);
    const Instant start = f.clock.now();
    CHECK(f.finish(f.expectDue()));
    CHECK(f.status().failures == 0);
    CHECK(f.status().last_error.empty());
    CHECK(f.status().last_good == start);
    CHECK(f.status().next == start + 5s);
}

TEST_CASE("a period longer than the longest back-off stays", "[backup_schedule]") {
    Fixture f;
    f.schedule.configure("wiki/a", {10min, 24h});
    f.schedule.cameUp("wiki/a", f.clock.now());
    for (int i = 0; i < 3; ++i) {
        CHECK(f.finish(f.expectDue(), kDiskFull));
        CHECK(f.status().next == f.clock.now() + 10min);
        f.clock.advance(10min);
    }
}

TEST_CASE("a change of state pauses, and what overlapped it is discarded", "[backup_schedule]") {
    Fixture f;
    f.schedule.cameUp("wiki/a", f.clock.now());
    const auto due = f.expectDue();
    CHECK(f.schedule.pause("wiki/a", "recovering"));
    CHECK(f.schedule.pause("wiki/a", "recovering still"));
    CHECK(f.status().pause_reason == "recovering still");

    SECTION("reported while paused") {
        CHECK_FALSE(f.finish(due));
        f.clock.advance(1h);
        CHECK_FALSE(f.next());
        f.schedule.cameUp("wiki/a", f.clock.now());
    }
    SECTION("reported after it came up again: still not to be believed") {
        f.schedule.cameUp("wiki/a", f.clock.now());
        CHECK_FALSE(f.next());  // the old one is still under way
        CHECK_FALSE(f.finish(due, kDiskFull));
    }
    CHECK(f.status().failures == 0);
    CHECK_FALSE(f.status().last_good);
    const auto after = f.expectDue();
    CHECK(after.full);  // the discarded one was none
    CHECK(f.finish(after));
}

TEST_CASE("a ticket counts once, and not for a backend configured anew", "[backup_schedule]") {
    Fixture f;
    f.schedule.cameUp("wiki/a", f.clock.now());
    const auto due = f.expectDue();
    CHECK(f.finish(due));
    CHECK_FALSE(f.finish(due));
    f.clock.advance(5s);
    const auto second = f.expectDue();
    f.schedule.remove("wiki/a");
    CHECK_FALSE(f.finish(second));
    f.schedule.configure("wiki/a", {5s, 24h});
    CHECK_FALSE(f.finish(second));
}

TEST_CASE("a request is served before the schedule and despite the back-off", "[backup_schedule]") {
    Fixture f;
    f.schedule.configure("wiki/b", {5s, 24h});
    CHECK(f.schedule.request("wiki/c", false).error().code == Code::not_found);
    const auto refused = f.schedule.request("wiki/a", false);
    CHECK(refused.error().message == "no backup of wiki/a now: not up yet");

    f.schedule.cameUp("wiki/b", f.clock.now());
    f.clock.advance(1s);
    f.schedule.cameUp("wiki/a", f.clock.now());
    CHECK(f.finish(f.expectDue()));
    auto due = f.expectDue();
    CHECK(due.backend == "wiki/a");
    CHECK(f.finish(due, kDiskFull));
    f.clock.advance(5s);  // both are due
    CHECK(f.schedule.request("wiki/a", false).has_value());
    CHECK(f.schedule.wakeAt() <= f.clock.now());
    due = f.expectDue();
    CHECK(due.backend == "wiki/a");
    CHECK(due.requested);
    CHECK(f.expectDue().backend == "wiki/b");
    CHECK(f.finish(due, kDiskFull));
    CHECK_FALSE(f.next());  // backs off
    CHECK(f.schedule.request("wiki/a", false).has_value());
    due = f.expectDue();
    CHECK(due.backend == "wiki/a");

    SECTION("asked for while one is under way: the next follows it") {
        CHECK(f.schedule.request("wiki/a", true).has_value());
        CHECK_FALSE(f.next());
        CHECK(f.finish(due));
        due = f.expectDue();
        CHECK(due.backend == "wiki/a");
        CHECK(due.full);
        CHECK(f.finish(due));
        CHECK_FALSE(f.next());
    }
    SECTION("forgotten when the state changes") {
        CHECK(f.finish(due));
        CHECK(f.schedule.request("wiki/a", false).has_value());
        CHECK_FALSE(f.schedule.pause("wiki/a", "down"));
        CHECK_FALSE(f.next());
        f.schedule.cameUp("wiki/a", f.clock.now());
        CHECK_FALSE(f.expectDue().requested);
    }
}

TEST_CASE("whoever waits longest goes first", "[backup_schedule]") {
    Fixture f;
    f.schedule.configure("wiki/b", {5s, 24h});
    f.schedule.cameUp("wiki/b", f.clock.now());
    f.clock.advance(1ms);
    f.schedule.cameUp("wiki/a", f.clock.now());
    CHECK(f.expectDue().backend == "wiki/b");
    CHECK(f.expectDue().backend == "wiki/a");
    CHECK_FALSE(f.next());
}

TEST_CASE("a reload with another period counts at once", "[backup_schedule]") {
    Fixture f;
    f.schedule.configure("wiki/a", {1h, 24h});
    f.schedule.cameUp("wiki/a", f.clock.now());
    const Instant start = f.clock.now();
    CHECK(f.finish(f.expectDue()));
    CHECK(f.status().next == start + 1h);
    f.schedule.configure("wiki/a", {10s, 24h});
    CHECK(f.status().next == start + 10s);
    f.schedule.configure("wiki/a", {10s, 24h});
    CHECK(f.status().next == start + 10s);
}
