#include "proxy/recovery/process_tree.h"

#include <signal.h>

#include <catch2/catch.hpp>

#include "tests/support/control_loop.h"
#include "tests/support/processes.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::recovery;
using namespace std::chrono_literals;
using test::isAlive;
using test::pidsIn;
using test::shell;

namespace {

// A leader in a session of its own, as the supervisor starts it. Whatever is left of it ends with
// the test.
class Leader {
  public:
    explicit Leader(const std::string& script) {
        SpawnOptions options;
        options.argv = shell(script);
        options.environment = {"REGROW_SERVER_TOKEN=" + token, "PIDS=" + (dir / "pids"),
                               "DIR=" + dir.path()};
        options.new_session = true;
        options.gated = true;  // identified before it can end
        child = spawn(options).value();
        id = identify(child.pid).value();
        child.release();
    }
    ~Leader() {
        killTree(tree(), 0s, 5s);
        for (const pid_t pid : pidsIn(dir / "pids"))
            if (isAlive(pid)) ::kill(pid, SIGKILL);
        reap(child.pid);
    }
    Leader(const Leader&) = delete;
    Leader& operator=(const Leader&) = delete;

    TreeId tree() const { return {id, token}; }
    // The pids that the script wrote, once there are `count`.
    std::vector<pid_t> pids(size_t count) {
        REQUIRE(loop.until([&] { return pidsIn(dir / "pids").size() >= count; }));
        return pidsIn(dir / "pids");
    }

    test::TempDir dir;
    test::ControlLoop loop;
    std::string token = "test:" + dir.path();
    ChildProcess child;
    ProcessId id;
};

bool contains(const std::vector<ProcessInfo>& members, pid_t pid) {
    return std::ranges::any_of(members, [&](const auto& m) { return m.pid == pid; });
}

KillReport endTree(Leader& leader, const TreeId& id, Duration grace = 0s) {
    std::optional<KillReport> report;
    TreeKill kill(leader.loop.loop(), id, grace, 5s, [&](KillReport r) { report = std::move(r); });
    REQUIRE(leader.loop.untilSet(report));
    return *report;
}

}  // namespace

TEST_CASE("stat lines are read whatever the program is called", "[process_tree]") {
    const std::string tail =
        " S 10 20 30 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 987654 1000 200 18446744073709551615";
    for (const std::string name : {"sh", "a b", "evil) Z 1 (x", "", "(", ")"}) {
        const auto stat = parseStat("4711 (" + name + ")" + tail);
        REQUIRE(stat);
        CHECK(stat->info.pid == 4711);
        CHECK(stat->info.name == name);
        CHECK(stat->info.parent == 10);
        CHECK(stat->info.group == 20);
        CHECK(stat->info.session == 30);
        CHECK(stat->info.start_ticks == 987654);
        CHECK(stat->alive);
    }
    for (const std::string bad : {"", "4711", "4711 (sh", "4711 (sh)", "4711 (sh) S",
                                  "x (sh) S 1 2 3", "4711 (sh) S a b c", "(sh) S 1 2 3", ")("})
        CHECK_FALSE(parseStat(bad));
}

TEST_CASE("a zombie is dead unless threads of it still run", "[process_tree]") {
    const auto with = [](const std::string& state, const std::string& threads) {
        return parseStat("1 (x) " + state + " 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 " + threads +
                         " 0 5 0");
    };
    CHECK_FALSE(with("Z", "0")->alive);
    CHECK_FALSE(with("Z", "1")->alive);
    CHECK(with("Z", "3")->alive);
    CHECK_FALSE(with("X", "1")->alive);
    CHECK(with("D", "1")->alive);
    CHECK(with("T", "1")->alive);
}

TEST_CASE("a grandchild in another session is found by the token, also after its parent died",
          "[process_tree]") {
    Leader leader(
        "setsid sh -c 'echo $$ >> $PIDS; exec sleep 1000' & "
        "while [ ! -s $PIDS ]; do :; done; exit 0");
    const pid_t lost = leader.pids(1)[0];
    REQUIRE(leader.loop.until([&] { return !isAlive(leader.child.pid); }));

    const auto report = endTree(leader, leader.tree());
    CHECK(report.text().find("1 process ended") == 0);
    CHECK(report.empty());
    CHECK_FALSE(isAlive(lost));
}

TEST_CASE("without the token: session while the leader is gone, descent while it lives",
          "[process_tree]") {
    // Both dropped the environment; the second left the session as well.
    Leader leader(
        "env -i PIDS=$PIDS sh -c 'echo $$ >> $PIDS; exec sleep 1000' & "
        "setsid env -i PIDS=$PIDS sh -c 'echo $$ >> $PIDS; exec sleep 1000' & wait");
    const auto pids = leader.pids(2);
    ProcessTree tree(leader.tree());
    const auto members = tree.scan();
    CHECK(contains(members, leader.child.pid));
    for (const pid_t pid : pids) CHECK(contains(members, pid));

    SECTION("what was seen is remembered when the leader dies") {
        ::kill(leader.child.pid, SIGKILL);
        REQUIRE(leader.loop.until([&] { return !isAlive(leader.child.pid); }));
        const auto later = tree.scan();
        for (const pid_t pid : pids) CHECK(contains(later, pid));
    }
    SECTION("all of it is killed") {
        CHECK(endTree(leader, leader.tree()).killed >= 3);
        for (const pid_t pid : pids) CHECK_FALSE(isAlive(pid));
    }
}

TEST_CASE("a stopped process is killed as well", "[process_tree]") {
    Leader leader("setsid sh -c 'echo $$ >> $PIDS; kill -STOP $$; sleep 1000' & wait");
    const pid_t stopped = leader.pids(1)[0];
    REQUIRE(leader.loop.until([&] { return readStat(stopped)->info.state == 'T'; }));
    CHECK(endTree(leader, leader.tree()).empty());
    CHECK_FALSE(isAlive(stopped));
}

TEST_CASE("a tree that keeps forking into new sessions cannot get away", "[process_tree]") {
    Leader leader(
        "breed() { while :; do setsid sh -c 'echo $$ >> $PIDS; sleep 0.1' & "
        "setsid env -i sleep 0.1 & wait $!; done; }; breed & breed & wait");
    leader.pids(20);
    CHECK(endTree(leader, leader.tree()).empty());
    const size_t written = pidsIn(leader.dir / "pids").size();
    for (const pid_t pid : pidsIn(leader.dir / "pids")) CHECK_FALSE(isAlive(pid));
    CHECK(ProcessTree(leader.tree()).scan().empty());
    CHECK(pidsIn(leader.dir / "pids").size() == written);
}

TEST_CASE("nobody else is touched", "[process_tree]") {
    Leader leader("echo $$ >> $PIDS; exec sleep 1000");
    leader.pids(1);
    SECTION("a pid that was reused: other start time") {
        TreeId other = leader.tree();
        other.token = "test:nobody";
        other.leader->start_ticks -= 1;
        CHECK(endTree(leader, other).killed == 0);
        CHECK(isAlive(leader.child.pid));
    }
    SECTION("a pid of another boot") {
        TreeId other = leader.tree();
        other.token.clear();
        other.leader->boot_id = "00000000-0000-0000-0000-000000000000";
        CHECK(endTree(leader, other).killed == 0);
        CHECK(isAlive(leader.child.pid));
    }
    SECTION("another server's token, and no token at all") {
        CHECK(endTree(leader, {std::nullopt, "test:other"}).killed == 0);
        CHECK(endTree(leader, {std::nullopt, ""}).killed == 0);
        CHECK(isAlive(leader.child.pid));
    }
}

TEST_CASE("a process in the session that carries another server's token is not ours",
          "[process_tree]") {
    Leader leader(
        "REGROW_SERVER_TOKEN=other sh -c 'echo $$ >> $PIDS; exec sleep 1000' & "
        "while [ ! -s $PIDS ]; do :; done; exit 0");
    const pid_t other = leader.pids(1)[0];
    REQUIRE(leader.loop.until([&] { return !isAlive(leader.child.pid); }));
    CHECK(endTree(leader, leader.tree()).killed == 0);
    CHECK(isAlive(other));
}

TEST_CASE("with a grace, who obeys ends by itself and who does not is killed after it",
          "[process_tree]") {
    SECTION("obeys, all of the tree, even while stopped") {
        Leader leader(
            "trap 'echo bye > $DIR/bye; exit 0' TERM; echo $$ >> $PIDS; "
            "while :; do sleep 0.05; done");
        leader.pids(1);
        ::kill(leader.child.pid, SIGSTOP);
        CHECK(endTree(leader, leader.tree(), 20s).empty());
        CHECK(exists(leader.dir / "bye"));
    }
    SECTION("does not") {
        Leader leader("trap '' TERM; echo $$ >> $PIDS; while :; do sleep 0.05; done");
        leader.pids(1);
        const auto report = endTree(leader, leader.tree(), 100ms);
        CHECK(report.empty());
        CHECK(report.took >= 100ms);
    }
    SECTION("patience can be ended") {
        Leader leader("trap '' TERM; echo $$ >> $PIDS; while :; do sleep 0.05; done");
        leader.pids(1);
        std::optional<KillReport> report;
        TreeKill kill(leader.loop.loop(), leader.tree(), 1h, 5s,
                      [&](KillReport r) { report = std::move(r); });
        kill.killNow();
        REQUIRE(leader.loop.untilSet(report));
        CHECK(report->empty());
    }
}

TEST_CASE("who is left is named", "[process_tree]") {
    KillReport report;
    CHECK(report.text() == "no process of it was left");
    report.left = {{4711, 1, 1, 1, 'D', 5, "postgres"}};
    CHECK(report.text().find("4711 postgres (state D, waits in the kernel)") != std::string::npos);
}

TEST_CASE("a kill that is dropped goes no further", "[process_tree]") {
    Leader leader("echo $$ >> $PIDS; exec sleep 1000");
    leader.pids(1);
    {
        TreeKill kill(leader.loop.loop(), leader.tree(), 0s, 5s, [](const KillReport&) { FAIL(); });
    }
    bool turned = false;
    leader.loop.loop().post([&] { turned = true; });
    REQUIRE(leader.loop.until([&] { return turned; }));
    CHECK(isAlive(leader.child.pid));
}
