#include "base/child_process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "base/file.h"
#include "tests/support/control_loop.h"
#include "tests/support/processes.h"
#include "tests/support/temp_dir.h"

// Options that a case does not name keep their defaults.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

using namespace regrow;
using Catch::Matchers::Contains;

namespace {

// Waits for the end of a child of ours, at most 20 s.
ExitStatus ended(const ChildProcess& child) {
    pollfd end{child.pidfd.get(), POLLIN, 0};
    REQUIRE(::poll(&end, 1, 20'000) == 1);
    const auto status = reap(child.pid);
    REQUIRE(status);
    return *status;
}

std::string outputOf(SpawnOptions options) {
    const test::TempDir dir;
    options.output = dir / "out";
    auto child = spawn(options);
    if (!child) FAIL(child.error().message);
    CHECK(ended(*child).ok());
    return readFile(options.output).value();
}

bool readable(int fd) {
    pollfd one{fd, POLLIN, 0};
    return ::poll(&one, 1, 20'000) == 1;
}

}  // namespace

TEST_CASE("what cannot be executed is told at once, by name", "[child]") {
    const test::TempDir dir;
    const auto missing = spawn({.argv = {"/no/such/program"}});
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == Code::not_found);
    CHECK_THAT(missing.error().message, Contains("/no/such/program") && Contains("No such file"));
    CHECK_THAT(spawn({.argv = {"no-such-program-anywhere"}}).error().message,
               Contains("no-such-program-anywhere"));
    REQUIRE(writeFileAtomic(dir / "plain", "not a program"));
    CHECK(spawn({.argv = {dir / "plain"}}).error().code == Code::permission);
    CHECK_THAT(spawn({.argv = {"/bin/true"}, .user = "nobody-of-that-name"}).error().message,
               Contains("'nobody-of-that-name'"));
    CHECK_FALSE(spawn({.argv = {}}));
    CHECK_FALSE(spawn({.argv = {"/bin/true"}, .directory = "/no/such/directory"}));
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);  // no zombie is left
}

TEST_CASE("output goes to the file, both streams, appended, for us alone", "[child]") {
    const test::TempDir dir;
    for (int i = 0; i < 2; ++i) {
        const auto child =
            spawn({.argv = test::shell("echo out; echo err >&2"), .output = dir / "log"});
        REQUIRE(child);
        CHECK(ended(*child).ok());
    }
    CHECK(readFile(dir / "log").value() == "out\nerr\nout\nerr\n");
}

TEST_CASE("standard input is /dev/null and nothing else of ours is open", "[child]") {
    CHECK(outputOf({.argv = test::shell("readlink /proc/$$/fd/0; cat")}) == "/dev/null\n");
    const UniqueFd leaky(
        ::open("/dev/null", O_RDONLY));  // NOLINT(android-cloexec-open): that is the point
    CHECK(outputOf({.argv = {"ls", "/proc/self/fd"}}) == "0\n1\n2\n3\n");  // 3 is the listing
}

TEST_CASE("a program is found in PATH and started where it was said", "[child]") {
    const test::TempDir dir;
    CHECK(outputOf({.argv = {"pwd"}, .directory = dir.path()}) == dir.path() + "\n");
}

TEST_CASE("what was added to the environment wins over ours, the rest stays", "[child]") {
    ::setenv("REGROW_TEST_OURS", "ours", 1);
    ::setenv("REGROW_TEST_OURS_TOO", "kept", 1);
    CHECK(outputOf(
              {.argv = test::shell("echo $REGROW_TEST_OURS $REGROW_TEST_OURS_TOO $REGROW_TEST_NEW"),
               .environment = {"REGROW_TEST_OURS=theirs", "REGROW_TEST_NEW=new"}}) ==
          "theirs kept new\n");
    CHECK(outputOf({.argv = test::shell("env | grep -c ^REGROW_TEST_OURS="),
                    .environment = {"REGROW_TEST_OURS=theirs"}}) == "1\n");
    ::unsetenv("REGROW_TEST_OURS");
    ::unsetenv("REGROW_TEST_OURS_TOO");
}

TEST_CASE("signals that we ignore or block are not inherited", "[child]") {
    sigset_t blocked;
    sigset_t before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &blocked, &before);
    const std::string masks =
        outputOf({.argv = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"}});
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    CHECK(masks == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST_CASE("as another user, with that user's groups alone", "[child]") {
    if (::geteuid() != 0) return;  // only root can
    CHECK(outputOf({.argv = test::shell("id -un; id -Gn"), .user = "nobody"}) ==
          "nobody\nnogroup\n");
}

TEST_CASE("how it ended is told", "[child]") {
    auto child = spawn({.argv = test::shell("exit 3")});
    REQUIRE(child);
    CHECK(ended(*child).text() == "exit 3");
    child = spawn({.argv = test::shell("kill -9 $$")});
    REQUIRE(child);
    const auto killed = ended(*child);
    CHECK_FALSE(killed.ok());
    CHECK(killed.text() == "killed by SIGKILL");
    CHECK_FALSE(reap(child->pid));
    CHECK(ExitStatus{.timed_out = true}.text() == "no answer within its deadline");
}

TEST_CASE("a gated child executes only when released", "[child]") {
    const test::TempDir dir;
    auto child = spawn({.argv = test::shell("echo ran > " + dir / "ran"), .gated = true});
    REQUIRE(child);
    CHECK(identify(child->pid));
    CHECK_FALSE(exists(dir / "ran"));
    child->release();
    CHECK(ended(*child).ok());
    CHECK(readFile(dir / "ran").value() == "ran\n");
    int none = 0;
    CHECK(::read(child->exec_status.get(), &none, sizeof none) == 0);
}

TEST_CASE("a gated child whose gate is closed unreleased exits unexecuted", "[child]") {
    const test::TempDir dir;
    auto child = spawn({.argv = test::shell("echo ran > " + dir / "ran"), .gated = true});
    REQUIRE(child);
    child->gate.reset();
    CHECK(ended(*child).code == 127);
    CHECK_FALSE(exists(dir / "ran"));
}

TEST_CASE("a gated child whose parent dies exits unexecuted, others' gates notwithstanding",
          "[child]") {
    const test::TempDir dir;
    int fds[2];
    REQUIRE(::pipe(fds) == 0);
    UniqueFd ended_when_all_are(fds[0]);
    UniqueFd held(fds[1]);  // not closed on exec: ends when the last of them has
    const pid_t parent = ::fork();
    if (parent == 0) {
        const SpawnOptions options{.argv = test::shell("echo ran > " + dir / "ran"), .gated = true};
        const auto first = spawn(options);
        const auto second = spawn(options);
        ::kill(::getpid(), SIGKILL);
    }
    held.reset();
    REQUIRE(readable(ended_when_all_are.get()));
    char byte = 0;
    CHECK(::read(ended_when_all_are.get(), &byte, 1) == 0);
    ::waitpid(parent, nullptr, 0);
    CHECK_FALSE(exists(dir / "ran"));
}

TEST_CASE("a gated child that cannot execute says so in status and output", "[child]") {
    const test::TempDir dir;
    auto child = spawn({.argv = {"/no/such/program"}, .gated = true, .output = dir / "log"});
    REQUIRE(child);
    child->release();
    CHECK(ended(*child).code == 127);
    int error = 0;
    REQUIRE(::read(child->exec_status.get(), &error, sizeof error) == sizeof error);
    CHECK(error == ENOENT);
    CHECK_THAT(readFile(dir / "log").value(), Contains("/no/such/program: No such file"));
}

TEST_CASE("a child dies with us when that was asked for", "[child]") {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    const UniqueFd from(fds[0]);
    UniqueFd to(fds[1]);
    const pid_t parent = ::fork();
    if (parent == 0) {
        const auto child = spawn({.argv = {"sleep", "60"}, .die_with_parent = true});
        [[maybe_unused]] const ssize_t n = ::write(to.get(), &child->pid, sizeof child->pid);
        ::kill(::getpid(), SIGKILL);
    }
    to.reset();
    pid_t child = 0;
    REQUIRE(readable(from.get()));
    REQUIRE(::read(from.get(), &child, sizeof child) == sizeof child);
    test::ControlLoop control;
    CHECK(control.until([&] { return !test::isAlive(child); }));
    ::waitpid(parent, nullptr, 0);
}

TEST_CASE("a process is adopted by its identity, never by its number alone", "[child]") {
    const auto child = spawn({.argv = {"sleep", "60"}});
    REQUIRE(child);
    const auto id = identify(child->pid);
    REQUIRE(id);
    CHECK(id->start_ticks > 0);
    CHECK_FALSE(id->boot_id.empty());
    CHECK(adopt(*id));
    auto reused = *id;
    ++reused.start_ticks;
    CHECK_FALSE(adopt(reused));
    auto other_boot = *id;
    other_boot.boot_id = "another";
    CHECK_FALSE(adopt(other_boot));
    ::kill(child->pid, SIGKILL);
    pollfd end{child->pidfd.get(), POLLIN, 0};
    REQUIRE(::poll(&end, 1, 20'000) == 1);
    CHECK_FALSE(identify(child->pid));  // a zombie is gone already
    CHECK_FALSE(adopt(*id));
    REQUIRE(reap(child->pid));
    CHECK_FALSE(adopt(*id));
}

TEST_CASE("a program's name cannot confuse its identity", "[child]") {
    const test::TempDir dir;
    const std::string odd = dir / "a) Z 1 (b";
    REQUIRE(::symlink("/bin/sleep", odd.c_str()) == 0);
    const auto child = spawn({.argv = {odd, "60"}});
    REQUIRE(child);
    const auto id = identify(child->pid);
    const auto own = identify(::getpid());
    REQUIRE(id);
    REQUIRE(own);
    CHECK(id->start_ticks >= own->start_ticks);
    ::kill(child->pid, SIGKILL);
    CHECK_FALSE(ended(*child).ok());
}
