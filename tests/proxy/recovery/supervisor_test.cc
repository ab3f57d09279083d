#include "proxy/recovery/supervisor.h"

#include <signal.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "base/json.h"
#include "tests/support/control_loop.h"
#include "tests/support/processes.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::recovery;
using namespace std::chrono_literals;
using Catch::Contains;
using test::isAlive;
using test::pidsIn;
using test::shell;

namespace {

struct Exit {
    std::string server;
    ProcessId process;
    std::optional<ExitStatus> status;
    std::string log_tail;
};

// One "run of the proxy" on a state directory.
class Proxy {
  public:
    explicit Proxy(const std::string& directory, Supervisor::Limits limits = {})
        : dir(directory),
          supervisor(Supervisor::create(
                         loop.loop(), dir,
                         [this](const std::string& server, const ProcessId& process,
                                const std::optional<ExitStatus>& status, const std::string& tail) {
                             exits.push_back({server, process, status, tail});
                         },
                         limits)
                         .value()) {}

    ServerSpec spec(const std::string& script, const std::string& name = "s1") const {
        ServerSpec server;
        server.key = "wiki/" + name;
        server.data = dir + "/data";
        server.service.run = shell(script);
        server.service.environment = {"DIR=" + dir, "REGROW_EPOCH=forged"};
        return server;
    }

    Result<ProcessId> start(const ServerSpec& server, Result<> persisted = {}) {
        std::optional<Result<ProcessId>> result;
        supervisor->start(
            server, 7, [&](const ProcessId&) { return persisted; },
            [&](Result<ProcessId> r) { result = std::move(r); });
        CHECK_FALSE(result.has_value());  // never from within
        REQUIRE(loop.untilSet(result));
        return *result;
    }

    Result<std::string> stop(const ServerSpec& server, Duration grace) {
        std::optional<Result<std::string>> result;
        supervisor->stop(server, grace, [&](Result<std::string> r) { result = std::move(r); });
        REQUIRE(loop.untilSet(result));
        return *result;
    }
    Result<std::string> kill(const ServerSpec& server) { return stop(server, 0s); }

    bool waitFor(const std::string& file) {
        return loop.until([&] { return exists(dir + "/" + file); });
    }

    std::string dir;
    test::ControlLoop loop;
    std::vector<Exit> exits;
    std::unique_ptr<Supervisor> supervisor;
};

std::string messageOf(const auto& result) {
    return result.has_value() ? "no error" : result.error().message;
}

constexpr const char* kSleeps = "echo $$ >> $DIR/pids; exec sleep 1000";

struct Fixture {
    test::TempDir temp;
    Proxy proxy{temp.path()};
    ~Fixture() {
        for (const auto& server : {"s1", "s2"}) proxy.kill(proxy.spec("", server));
        for (const pid_t pid : pidsIn(temp / "pids"))
            if (isAlive(pid)) ::kill(pid, SIGKILL);
    }
};

int listenOn(Address& address) {
    const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(fd, address.sockaddrPtr(), address.length()) == 0);
    REQUIRE(::listen(fd, 1) == 0);
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &length);
    address = Address::fromSockaddr(reinterpret_cast<sockaddr*>(&bound), length);
    return fd;
}

// This test program again, running one hidden case, as a proxy that can be killed.
ChildProcess runHelper(const std::string& name, const std::string& directory) {
    SpawnOptions options;
    options.argv = {"/proc/self/exe", name};
    options.environment = {"REGROW_TEST_DIR=" + directory};
    options.output = directory + "/helper.log";
    return spawn(options).value();
}

std::string helperDirectory() {
    const char* directory = std::getenv("REGROW_TEST_DIR");
    REQUIRE(directory);
    return directory;
}

Result<> save(const std::string& path, const ProcessId& id) {
    return writeFileAtomic(
        path, std::to_string(id.pid) + " " + std::to_string(id.start_ticks) + " " + id.boot_id);
}

ProcessId load(const std::string& path) {
    std::istringstream in(readFile(path).value());
    ProcessId id;
    in >> id.pid >> id.start_ticks >> id.boot_id;
    return id;
}

}  // namespace

TEST_CASE("a server runs with its environment and its log, in a session of its own",
          "[supervisor]") {
    Fixture f;
    auto server = f.proxy.spec(
        "echo out; echo err >&2; env > $DIR/env.new; mv $DIR/env.new $DIR/env; exec sleep 1000");
    server.service.directory = f.temp.path();
    const auto id = f.proxy.start(server);
    REQUIRE(id.has_value());
    CHECK(f.proxy.supervisor->running(server.key));
    CHECK(f.proxy.supervisor->process(server.key) == *id);
    CHECK(readStat(id->pid)->info.session == id->pid);
    REQUIRE(f.proxy.waitFor("env"));
    const auto environment = readFile(f.temp / "env").value();
    CHECK_THAT(environment, Contains("REGROW_SERVER=wiki/s1\n"));
    CHECK_THAT(
        environment,
        Contains("REGROW_SERVER_TOKEN=" + f.proxy.supervisor->tree(server.key).token + "\n"));
    CHECK_THAT(environment, Contains("REGROW_EPOCH=7\n"));
    CHECK_THAT(environment, Contains("PWD=" + f.temp.path() + "\n"));
    CHECK(f.proxy.supervisor->logPath(server) == f.temp / "logs/s1.log");
    CHECK(f.proxy.supervisor->logTail(server) == "out\nerr\n");
    CHECK(readFile(f.temp / "logs/s1.log").value() == "out\nerr\n");
}

TEST_CASE("nothing executes before its identity is durable", "[supervisor]") {
    Fixture f;
    const auto server = f.proxy.spec("touch $DIR/executed; exec sleep 1000");
    SECTION("and never when it cannot be made so") {
        const auto result =
            f.proxy.start(server, fail(Code::no_space, Source::disk, "journal is full"));
        CHECK_THAT(messageOf(result), Contains("journal is full"));
        CHECK_FALSE(f.proxy.supervisor->running(server.key));
        CHECK(ProcessTree(f.proxy.supervisor->tree(server.key)).scan().empty());
        CHECK_FALSE(exists(f.temp / "executed"));
        CHECK(f.proxy.exits.empty());
        CHECK(f.proxy.start(server).has_value());  // once there is room again
    }
    SECTION("told while it waits at the gate") {
        ProcessId told;
        bool executed_before = true;
        std::optional<Result<ProcessId>> result;
        f.proxy.supervisor->start(
            server, 1,
            [&](const ProcessId& id) -> Result<> {
                told = id;
                executed_before = exists(f.temp / "executed");
                return {};
            },
            [&](Result<ProcessId> r) { result = std::move(r); });
        REQUIRE(f.proxy.loop.untilSet(result));
        REQUIRE(result->has_value());
        CHECK(**result == told);
        CHECK_FALSE(executed_before);
        CHECK(f.proxy.waitFor("executed"));
    }
}

TEST_CASE("helper: dies while a server waits at the gate", "[.][supervisor-helper]") {
    Proxy proxy(helperDirectory());
    const auto server = proxy.spec("touch $DIR/executed; exec sleep 1000");
    proxy.supervisor->start(
        server, 1,
        [&](const ProcessId& id) -> Result<> {
            REQUIRE(save(proxy.dir + "/id", id).has_value());
            ::kill(::getpid(), SIGKILL);
            return {};
        },
        [](const auto&) {});
    FAIL("alive");
}

TEST_CASE("a server whose proxy dies before it is released never executes", "[supervisor]") {
    Fixture f;
    const auto helper = runHelper("helper: dies while a server waits at the gate", f.temp.path());
    std::optional<ExitStatus> status;
    REQUIRE(f.proxy.loop.until([&] { return (status = reap(helper.pid)).has_value(); }));
    CHECK(status->signal == SIGKILL);
    const ProcessId id = load(f.temp / "id");
    CHECK(f.proxy.loop.until([&] { return !isAlive(id.pid); }));
    CHECK_FALSE(exists(f.temp / "executed"));
    CHECK_FALSE(f.proxy.supervisor->adopt(f.proxy.spec(kSleeps), id));
}

TEST_CASE("helper: starts a server and waits", "[.][supervisor-helper]") {
    Proxy proxy(helperDirectory());
    REQUIRE(proxy
                .start(proxy.spec("setsid sleep 1000 & echo $$ >> $DIR/pids; trap 'exit 3' TERM; "
                                  "while :; do echo tick; sleep 0.01; done"))
                .has_value());
    const auto id = *proxy.supervisor->process("wiki/s1");
    REQUIRE(save(proxy.dir + "/id", id).has_value());
    proxy.loop.until([] { return false; }, 60s);
}

TEST_CASE("a server outlives its proxy, keeps its log, and is adopted by the next",
          "[supervisor]") {
    Fixture f;
    const auto helper = runHelper("helper: starts a server and waits", f.temp.path());
    REQUIRE(f.proxy.waitFor("id"));
    REQUIRE(f.proxy.waitFor("pids"));
    ::kill(helper.pid, SIGKILL);
    REQUIRE(f.proxy.loop.until([&] { return reap(helper.pid).has_value(); }));

    const ProcessId id = load(f.temp / "id");
    const auto server = f.proxy.spec(kSleeps);
    REQUIRE(isAlive(id.pid));
    const auto size = std::filesystem::file_size(f.temp / "logs/s1.log");
    CHECK(f.proxy.loop.until(
        [&] { return std::filesystem::file_size(f.temp / "logs/s1.log") > size; }));

    ProcessId reused = id;
    reused.start_ticks += 1;
    CHECK_FALSE(f.proxy.supervisor->adopt(server, reused));
    CHECK_FALSE(f.proxy.supervisor->running(server.key));
    REQUIRE(f.proxy.supervisor->adopt(server, id));
    CHECK(f.proxy.supervisor->running(server.key));
    CHECK_THAT(messageOf(f.proxy.start(server)), Contains("runs already as pid"));

    SECTION("its exit is seen, without a status: it is not our child") {
        ::kill(id.pid, SIGTERM);
        REQUIRE(f.proxy.loop.until([&] { return !f.proxy.exits.empty(); }));
        CHECK(f.proxy.exits[0].server == "wiki/s1");
        CHECK(f.proxy.exits[0].process == id);
        CHECK_FALSE(f.proxy.exits[0].status.has_value());
        CHECK_THAT(f.proxy.exits[0].log_tail, Contains("tick"));
        CHECK_THAT(messageOf(f.proxy.start(server)), Contains("earlier run are still there"));
        CHECK(f.proxy.kill(server).has_value());
        CHECK(f.proxy.start(server).has_value());
    }
    SECTION("it can be killed, with what left its session") {
        const auto killed = f.proxy.kill(server);
        REQUIRE(killed.has_value());
        CHECK_THAT(*killed, Contains("processes ended"));
        CHECK_FALSE(isAlive(id.pid));
        CHECK(f.proxy.exits.size() == 1);
        CHECK(ProcessTree(f.proxy.supervisor->tree(server.key)).scan().empty());
    }
}

TEST_CASE("an exit is seen at once, with its status and the end of the log", "[supervisor]") {
    Fixture f;
    const auto id = f.proxy.start(f.proxy.spec("echo cannot open database; exit 3"));
    REQUIRE(id.has_value());
    REQUIRE(f.proxy.loop.until([&] { return !f.proxy.exits.empty(); }));
    CHECK(f.proxy.exits[0].process == *id);
    REQUIRE(f.proxy.exits[0].status.has_value());
    CHECK(f.proxy.exits[0].status->text() == "exit 3");
    CHECK(f.proxy.exits[0].log_tail == "cannot open database\n");
    CHECK_FALSE(f.proxy.supervisor->running("wiki/s1"));

    REQUIRE(f.proxy.start(f.proxy.spec("kill -SEGV $$")).has_value());
    REQUIRE(f.proxy.loop.until([&] { return f.proxy.exits.size() == 2; }));
    CHECK(f.proxy.exits[1].status->text() == "killed by SIGSEGV");
}

TEST_CASE("what keeps a server from starting is named", "[supervisor]") {
    Fixture f;
    auto server = f.proxy.spec(kSleeps);
    SECTION("no such program") {
        server.service.run = {"/nonexistent/wiki", "--port", "1"};
        CHECK(messageOf(f.proxy.start(server)) ==
              "wiki/s1 cannot start: /nonexistent/wiki: No such file or directory");
        CHECK_THAT(f.proxy.supervisor->logTail(server), Contains("cannot start /nonexistent/wiki"));
        CHECK(f.proxy.exits.empty());
        CHECK_FALSE(f.proxy.supervisor->running(server.key));
    }
    SECTION("not executable") {
        REQUIRE(writeFileAtomic(f.temp / "plain", "x").has_value());
        server.service.run = {f.temp / "plain"};
        CHECK_THAT(messageOf(f.proxy.start(server)), Contains("Permission denied"));
    }
    SECTION("no such directory") {
        server.service.directory = "/nonexistent";
        CHECK_THAT(messageOf(f.proxy.start(server)),
                   Contains("service.directory of wiki/s1") && Contains("/nonexistent"));
    }
    SECTION("no such user") {
        server.service.user = "no-such-user";
        CHECK_THAT(messageOf(f.proxy.start(server)), Contains("no-such-user"));
    }
    SECTION("a log that cannot be written") {
        REQUIRE(writeFileAtomic(f.temp / "file", "x").has_value());
        server.service.log = f.temp / "file/x.log";
        CHECK_THAT(messageOf(f.proxy.start(server)), Contains(f.temp / "file"));
    }
    SECTION("nothing says how") {
        server.service = {};
        CHECK_THAT(messageOf(f.proxy.start(server)),
                   Contains("neither service.run nor service.start"));
    }
    SECTION("its address is taken") {
        const std::string us = "pid " + std::to_string(::getpid());
        for (const char* at : {"127.0.0.1:0", "0.0.0.0:0", "[::]:0"}) {
            Address address = Address::parse(at).value();
            const int fd = listenOn(address);
            server.address = Address::loopback(address.port());
            CHECK_THAT(messageOf(f.proxy.start(server)),
                       Contains(server.address.text() + " is already taken by " + us));
            ::close(fd);
        }
        Address path = Address::parse("unix:" + (f.temp / "sock")).value();
        const int fd = listenOn(path);
        server.address = Address::parse("unix:" + (f.temp / "sock")).value();
        CHECK_THAT(messageOf(f.proxy.start(server)), Contains("is already taken by " + us));
        ::close(fd);
        CHECK(
            f.proxy.start(server).has_value());  // the file that is left is the server's to remove
    }
    SECTION("it runs already") {
        REQUIRE(f.proxy.start(server).has_value());
        CHECK_THAT(messageOf(f.proxy.start(server)), Contains("runs already"));
    }
}

TEST_CASE("stopping: the tree gets time, then not", "[supervisor]") {
    Fixture f;
    SECTION("obeys") {
        const auto server = f.proxy.spec(
            "trap 'echo bye; exit 0' TERM; touch $DIR/up; while :; do sleep 0.01; done");
        REQUIRE(f.proxy.start(server).has_value());
        REQUIRE(f.proxy.waitFor("up"));
        REQUIRE(f.proxy.stop(server, 20s).has_value());
        REQUIRE(f.proxy.exits.size() == 1);  // told before the stop's own end
        CHECK(f.proxy.exits[0].status->ok());
        CHECK_THAT(f.proxy.exits[0].log_tail, Contains("bye"));
    }
    SECTION("killed during the stop: both are answered") {
        const auto server =
            f.proxy.spec("trap '' TERM; touch $DIR/up; while :; do sleep 0.01; done");
        REQUIRE(f.proxy.start(server).has_value());
        REQUIRE(f.proxy.waitFor("up"));
        std::optional<Result<std::string>> stopped;
        f.proxy.supervisor->stop(server, 1h,
                                 [&](Result<std::string> r) { stopped = std::move(r); });
        CHECK_THAT(messageOf(f.proxy.start(server)), Contains("runs already"));
        CHECK(f.proxy.kill(server).has_value());
        REQUIRE(stopped.has_value());
        CHECK(stopped->has_value());
    }
    SECTION("killed while it starts: the start is cancelled") {
        const auto server = f.proxy.spec(kSleeps);
        std::optional<Result<ProcessId>> started;
        f.proxy.supervisor->start(
            server, 1, [](const ProcessId&) -> Result<> { return {}; },
            [&](Result<ProcessId> r) { started = std::move(r); });
        CHECK(f.proxy.kill(server).has_value());
        REQUIRE(started.has_value());
        REQUIRE_FALSE(started->has_value());
        CHECK(started->error().code == Code::cancelled);
        CHECK_FALSE(f.proxy.supervisor->running(server.key));
    }
    SECTION("nothing there is success as well") {
        const auto result = f.proxy.kill(f.proxy.spec(kSleeps));
        REQUIRE(result.has_value());
        CHECK(*result == "no process of it was left");
    }
    SECTION("leftovers of a server that nobody knows the leader of") {
        const auto server =
            f.proxy.spec("setsid sh -c 'echo $$ >> $DIR/pids; exec sleep 1000' & wait");
        REQUIRE(f.proxy.start(server).has_value());
        REQUIRE(f.proxy.waitFor("pids"));
        f.proxy.supervisor->forget(server.key);
        CHECK_FALSE(f.proxy.supervisor->process(server.key).has_value());
        CHECK(f.proxy.kill(server).has_value());
        for (const pid_t pid : pidsIn(f.temp / "pids")) CHECK_FALSE(isAlive(pid));
    }
}

TEST_CASE("a server may be started again from its own exit", "[supervisor]") {
    test::TempDir temp;
    test::ControlLoop loop;
    int exits = 0;
    std::unique_ptr<Supervisor> supervisor;
    ServerSpec server;
    server.key = "wiki/s1";
    server.service.run = shell("exit 1");
    const std::function<void()> start = [&] {
        supervisor->start(
            server, 1, [](const ProcessId&) -> Result<> { return {}; },
            [](const Result<ProcessId>& r) { CHECK(r.has_value()); });
    };
    supervisor = Supervisor::create(loop.loop(), temp.path(),
                                    [&](const auto&, const auto&, const auto&, const auto&) {
                                        if (++exits < 20) start();
                                    })
                     .value();
    start();
    CHECK(loop.until([&] { return exits == 20; }));
}

TEST_CASE("logs are turned over at a start", "[supervisor]") {
    Fixture f;
    const auto server = f.proxy.spec("echo new; exec sleep 1000");
    REQUIRE(makeDirectories(f.temp / "logs").has_value());
    REQUIRE(writeFileAtomic(f.temp / "logs/s1.log", std::string((10 << 20) + 1, 'x')).has_value());
    REQUIRE(f.proxy.start(server).has_value());
    CHECK(f.proxy.loop.until([&] { return f.proxy.supervisor->logTail(server) == "new\n"; }));
    CHECK(std::filesystem::file_size(f.temp / "logs/s1.log.1") == (10 << 20) + 1);
}

TEST_CASE("two proxies with servers of one name do not see each other's", "[supervisor]") {
    Fixture a;
    Fixture b;
    const auto server = a.proxy.spec(kSleeps);
    REQUIRE(a.proxy.start(server).has_value());
    CHECK(b.proxy.kill(b.proxy.spec(kSleeps)).has_value());
    CHECK(a.proxy.supervisor->running(server.key));
    CHECK(
        Supervisor::create(a.proxy.loop.loop(), a.temp.path(), nullptr).value()->tree("x").token ==
        a.proxy.supervisor->tree("x").token);
}

namespace {

// A service of somebody else: "runs" while DIR/state says so.
ServerSpec foreignSpec(const std::string& dir) {
    ServerSpec server;
    server.key = "wiki/s1";
    server.service.environment = {"DIR=" + dir};
    server.service.start = shell("echo running > $DIR/state");
    server.service.stop = shell("echo stopped > $DIR/state");
    server.service.status = shell("grep -q running $DIR/state");
    return server;
}

Supervisor::Limits quick() {
    Supervisor::Limits limits;
    limits.action = 2s;
    limits.settle = 300ms;
    limits.status_every = 10ms;
    return limits;
}

}  // namespace

TEST_CASE("a foreign service is what its status says", "[supervisor][foreign]") {
    test::TempDir temp;
    Proxy proxy(temp.path(), quick());
    auto server = foreignSpec(temp.path());
    SECTION("start and stop") {
        const auto started = proxy.start(server);
        REQUIRE(started.has_value());
        CHECK(started->pid == 0);
        const auto stopped = proxy.kill(server);
        REQUIRE(stopped.has_value());
        CHECK(*stopped == "its status action says not running");
    }
    SECTION("a start that takes its time") {
        server.service.start = shell("(sleep 0.1; echo running > $DIR/state) & exit 0");
        CHECK(proxy.start(server).has_value());
    }
    SECTION("a start that lies") {
        server.service.start = shell("exit 0");
        CHECK(messageOf(proxy.start(server)) ==
              "wiki/s1: it was started, but its status action says not running");
    }
    SECTION("a start that fails because it runs already") {
        REQUIRE(proxy.start(server).has_value());
        server.service.start = shell("exit 1");
        CHECK(proxy.start(server).has_value());
    }
    SECTION("a start that fails says why") {
        server.service.start = shell("echo unit not found; exit 5");
        CHECK_THAT(messageOf(proxy.start(server)), Contains("exit 5: unit not found"));
        server.service.start = {"/nonexistent/ctl"};
        CHECK_THAT(messageOf(proxy.start(server)), Contains("/nonexistent/ctl"));
    }
    SECTION("a stop that lies") {
        REQUIRE(proxy.start(server).has_value());
        server.service.stop = shell("exit 0");
        CHECK(messageOf(proxy.kill(server)) ==
              "wiki/s1: it was stopped, but its status action says running");
    }
    SECTION("a stop that fails although it stopped") {
        REQUIRE(proxy.start(server).has_value());
        server.service.stop = shell("echo stopped > $DIR/state; exit 1");
        CHECK(proxy.kill(server).has_value());
    }
    SECTION("a status that cannot be asked is no answer") {
        server.service.status = {"/nonexistent/ctl"};
        CHECK_THAT(messageOf(proxy.kill(server)),
                   Contains("nobody knows whether it runs") && Contains("/nonexistent/ctl"));
        server.service.status = shell("exit 127");
        CHECK_THAT(messageOf(proxy.kill(server)), Contains("nobody knows whether it runs"));
    }
    SECTION("no status") {
        server.service.status.clear();
        CHECK(proxy.start(server).has_value());
        CHECK_THAT(messageOf(proxy.kill(server)),
                   Contains("no status action") && Contains("proves nothing"));
    }
    SECTION("actions that hang have a deadline") {
        auto limits = quick();
        limits.action = 100ms;
        Proxy impatient(temp.path(), limits);
        server.service.start = shell("sleep 1000");
        CHECK_THAT(messageOf(impatient.start(server)), Contains("did not end within 100 ms"));
        server.service.status = shell("sleep 1000");
        CHECK_THAT(messageOf(impatient.kill(server)), Contains("nobody knows whether it runs"));
    }
}

TEST_CASE("what a start action leaves running stays", "[supervisor][foreign]") {
    test::TempDir temp;
    Proxy proxy(temp.path(), quick());
    auto server = foreignSpec(temp.path());
    server.service.start = shell("sleep 1000 & echo $! > $DIR/pid");
    server.service.stop = shell("kill $(cat $DIR/pid)");
    server.service.status = shell("grep -q '^State:.[RSD]' /proc/$(cat $DIR/pid)/status");
    REQUIRE(proxy.start(server).has_value());
    CHECK(isAlive(pidsIn(temp / "pid")[0]));
    CHECK(proxy.kill(server).has_value());
}
