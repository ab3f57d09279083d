#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/json.h"
#include "proxy/admin/stats_json.h"
#include "proxy/cli/backup_verbs.h"
#include "proxy/cli/check_verb.h"
#include "proxy/cli/completion.h"
#include "proxy/cli/config_verb.h"
#include "proxy/cli/control_verbs.h"
#include "proxy/cli/online_verbs.h"
#include "proxy/cli/output.h"
#include "proxy/cli/status_verb.h"
#include "proxy/cli/why_verb.h"
#include "tests/proxy/admin/live_server.h"

using namespace regrow;
using admin::testing::FakeControl;
using admin::testing::LiveServer;

namespace {

struct Said {
    int code = 0;
    std::string out;
    std::string err;
};

// Turns a stream of ours to a file for as long as it lives.
class Captured {
  public:
    explicit Captured(FILE* stream)
        : stream_(stream), file_(std::tmpfile()), saved_(::dup(::fileno(stream))) {
        std::fflush(stream_);
        ::dup2(::fileno(file_), ::fileno(stream_));
    }
    std::string end() {
        std::fflush(stream_);
        ::dup2(saved_, ::fileno(stream_));
        ::close(saved_);
        std::string text(static_cast<size_t>(::lseek(::fileno(file_), 0, SEEK_END)), 0);
        const ssize_t n = ::pread(::fileno(file_), text.data(), text.size(), 0);
        std::fclose(file_);
        text.resize(static_cast<size_t>(n));
        return text;
    }

  private:
    FILE* stream_;
    FILE* file_;
    int saved_;
};

// The verbs as runCli has them, without `run`.
Said regrowCli(std::vector<std::string> arguments) {
    Said said;
    CLI::App app("test", "regrow");
    app.require_subcommand(1);
    cli::addCheckVerb(app, said.code);
    cli::addStatusVerb(app, said.code);
    cli::addWhyVerb(app, said.code);
    cli::addControlVerbs(app, said.code);
    cli::addBackupVerbs(app, said.code, cli::online);
    cli::addConfigVerbs(app, said.code);
    cli::addCompletionVerb(app, said.code);
    std::reverse(arguments.begin(), arguments.end());
    Captured out(stdout);
    Captured err(stderr);
    try {
        app.parse(arguments);
    } catch (const CLI::ParseError& e) {
        said.code = e.get_exit_code() == 0 ? 0 : 2;
    }
    said.err = err.end();
    said.out = out.end();
    return said;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::string writeTemporary(const std::string& content) {
    char path[] = "/tmp/regrow-cli-XXXXXX";
    ::close(::mkstemp(path));
    std::ofstream(path) << content;
    return path;
}

}  // namespace

TEST_CASE("status: a table a pool, without colours when nobody watches") {
    LiveServer server;
    const auto said = regrowCli({"status", "-a", server.text()});
    CHECK(said.code == 0);
    INFO(said.out);
    for (const char* part :
         {"wiki  degraded", "wiki-1", "restoring", "process exited: killed by SIGKILL",
          "wiki-spare-2 claimed", "412 snapshots, newest data 6.2 s old (RPO)",
          "recovery r-0004: wiki-1 -> wiki-spare-2, restore 62%", "last recovery r-0003",
          "nothing lost", "repository far: unreachable: connection refused",
          "listening on 0.0.0.0:8080"})
        CHECK(has(said.out, part));
    CHECK_FALSE(has(said.out, "\x1b"));
    CHECK(json::parse(regrowCli({"status", "-a", server.text(), "--json"}).out));
}

TEST_CASE("status: renders in colour, and with half the fields missing") {
    const auto stats =
        json::parse(admin::statsJson(admin::testing::richStatus(Wall::now()), Wall::now()));
    CHECK(has(cli::renderStatus(*stats, true), "\x1b[33mdegraded\x1b[0m"));
    const auto old = json::parse(
        R"({"pools":{"p":{"backends":[{"name":"a\u001b[31m"}],"spares":[{}],"backup":{},"recovery":{},"recoveries":[{}]}},"repositories":{"r":{}}})");
    const auto text = cli::renderStatus(*old, false);
    CHECK(has(text, "a?[31m"));
    CHECK(has(text, "0 snapshots, not all data could be restored (RPO), no recovery measured yet"));
    CHECK_FALSE(has(text, "\x1b"));
}

TEST_CASE(
    "status: one of a kind, why a recovery is held, and what is odd about the newest snapshot") {
    auto status = admin::testing::richStatus(Wall::now());
    auto& pool = status.pools.at("wiki");
    pool.backup->snapshots = 1;
    pool.backup->latest->suspicious = pool.backup->latest->incomplete = true;
    pool.requests = pool.errors = 1;
    pool.active.at(0).state = "held(approval)";
    status.workers = 1;
    status.listeners.at(0).connections = status.listeners.at(0).requests = 1;
    status.repositories.at("main").snapshots = 1;
    const auto text = cli::renderStatus(*json::parse(admin::statsJson(status, Wall::now())), true);
    INFO(text);
    for (const char* part :
         {", 1 worker,", "1 request on 1 connection\n", "  1 request, 1 error, ",
          "backup: 1 snapshot,", "main: 1 snapshot,", "held back: most files had vanished",
          "newest incomplete", "\x1b[33mheld(approval)\x1b[0m"})
        CHECK(has(text, part));
}

TEST_CASE("why: the story with its evidence, and a clear word when there is no such backend") {
    LiveServer server;
    const auto said = regrowCli({"why", "wiki/wiki-1", "-a", server.text()});
    INFO(said.out << said.err);
    CHECK(said.code == 0);
    CHECK(has(said.out, "wiki/wiki-1 is restoring: process exited"));
    CHECK(has(said.out, "up -> down: the process exited"));
    CHECK(has(said.out, "exit: killed by SIGKILL"));
    CHECK(has(said.out, " ago"));
    CHECK(said.out.find("started /usr/bin/radicale") < said.out.find("up -> down"));
    CHECK(has(regrowCli({"why", "wiki/wiki-1", "-a", server.text(), "--last", "1"}).out,
              "(5 earlier ones"));
    const auto nobody = regrowCli({"why", "wiki/nobody", "-a", server.text()});
    CHECK(nobody.code == 1);
    CHECK(has(nobody.err, "wiki/nobody is no backend"));
    CHECK(regrowCli({"why", "wiki", "-a", server.text()}).code == 2);
    CHECK(json::parse(regrowCli({"why", "wiki/wiki-1", "--json", "-a", server.text()}).out));
}

TEST_CASE("control verbs: each asks what it says, refusals exit 3") {
    LiveServer server;
    const std::string a = server.text();
    for (const char* verb : {"drain", "undrain", "maintenance", "recover", "quarantine", "release"})
        CHECK(regrowCli({verb, "wiki/wiki-1", "-a", a}).code == 0);
    CHECK(regrowCli({"recover", "wiki/wiki-1", "--at", "2026-11-22T20:00:00Z", "-a", a}).code == 0);
    CHECK(regrowCli({"backup", "wiki/wiki-1", "--full", "-a", a}).code == 0);
    CHECK(regrowCli({"approve", "r-1", "-a", a}).code == 0);
    CHECK(regrowCli({"cancel", "r-1", "-a", a}).code == 0);
    CHECK(regrowCli({"pause", "-a", a}).code == 0);
    CHECK(has(regrowCli({"resume", "-a", a}).out, "done: resume"));
    CHECK(regrowCli({"reload", "-a", a}).code == 0);
    const auto asked = server.onLoop([](FakeControl& c) { return c.asked; });
    REQUIRE(asked.size() == 13);
    CHECK(asked[0].starts_with("drain wiki wiki-1 '' admin:"));
    CHECK(asked[6].starts_with("recover wiki wiki-1 '2026-11-22T20:00:00Z'"));
    CHECK(asked[7].starts_with("backup wiki wiki-1 'full'"));
    server.onLoop([](FakeControl& c) {
        c.refuse_with = Error{Code::refused, Source::us, false, "no spare is free"};
    });
    const auto refused = regrowCli({"recover", "wiki/wiki-1", "-a", a});
    CHECK(refused.code == 3);
    CHECK(has(refused.err, "no spare is free"));
    server.onLoop([](FakeControl& c) {
        c.refuse_with = Error{Code::not_found, Source::us, false, "no pool 'x'"};
    });
    CHECK(regrowCli({"drain", "x/y", "-a", a}).code == 1);
    CHECK(regrowCli({"drain", "x", "-a", a}).code == 2);
    CHECK(regrowCli({"drain"}).code == 2);
}

TEST_CASE("snapshots: the proxy's list, all or of one backend") {
    LiveServer server;
    CHECK(has(regrowCli({"snapshots", "-a", server.text()}).out, "20261122T200313Z-000413"));
    CHECK(has(regrowCli({"snapshots", "wiki/other", "-a", server.text()}).out,
              "no snapshots of wiki/other"));
}

TEST_CASE("a token is asked for and given") {
    const auto file = writeTemporary("0123456789abcdef0123\n");
    LiveServer server("127.0.0.1:0", file);
    const auto without = regrowCli({"pause", "-a", server.text()});
    CHECK(without.code == 1);
    CHECK(has(without.err, "--token-file"));
    CHECK(regrowCli({"pause", "-a", server.text(), "--token-file", file}).code == 0);
    ::unlink(file.c_str());
    CHECK(has(regrowCli({"pause", "-a", server.text(), "--token-file", file}).err, file));
}

TEST_CASE("over a unix socket") {
    const std::string path = "/tmp/regrow-cli-" + std::to_string(::getpid()) + ".sock";
    LiveServer server("unix:" + path);
    CHECK(has(regrowCli({"status", "-a", "unix:" + path}).out, "wiki  degraded"));
}

TEST_CASE("nobody there, or somebody else: said with the remedy") {
    std::string gone;
    {
        const LiveServer server;
        gone = server.text();
    }
    const auto nobody = regrowCli({"status", "-a", gone});
    CHECK(nobody.code == 1);
    CHECK(has(nobody.err, "is `regrow run` running?"));
    CHECK(has(nobody.err, gone));
    CHECK(has(regrowCli({"status", "-a", "nonsense"}).err, "write HOST:PORT or unix:/path"));
    CHECK(has(regrowCli({"status", "-c", "/nonexistent.yaml"}).err, "/nonexistent.yaml"));
}

TEST_CASE("check: the counts, or every problem with its place") {
    const auto good = writeTemporary(
        "listeners:\n  - {listen: 127.0.0.1:8080, routes: [{host: \"*\", path: /, pool: web}]}\n"
        "pools:\n  web:\n    backends:\n      - {name: a, address: 127.0.0.1:9001}\n      - {name: "
        "b, address: 127.0.0.1:9002}\n");
    const auto ok = regrowCli({"check", "-c", good});
    INFO(ok.out << ok.err);
    CHECK(ok.code == 0);
    CHECK(ok.out == good + ": ok, 1 listener, 1 pool, 2 backends\n");
    CHECK(regrowCli({"check", "--plan", "-c", good}).code == 2);
    const auto bad = writeTemporary("listners: []\npools:\n  web:\n    blance: x\n");
    const auto said = regrowCli({"check", "-c", bad});
    CHECK(said.code == 1);
    CHECK(has(said.err, bad + ":1:1: "));
    CHECK(has(said.err, bad + ":4:5: "));
    CHECK(regrowCli({"check"}).code == 2);
    ::unlink(good.c_str());
    ::unlink(bad.c_str());
}

TEST_CASE("config, version and completion print") {
    CHECK(has(regrowCli({"config", "defaults"}).out, "listeners"));
    CHECK(json::parse(regrowCli({"config", "schema"}).out));
    CHECK(has(regrowCli({"version"}).out, "regrow " REGROW_VERSION));
    for (const char* shell : {"bash", "zsh", "fish"}) {
        const auto said = regrowCli({"completion", shell});
        CHECK(said.code == 0);
        CHECK(has(said.out, "maintenance"));
        CHECK(has(said.out, "token-file"));
    }
    CHECK(regrowCli({"completion", "csh"}).code == 2);
    const auto script = writeTemporary(
        regrowCli({"completion", "bash"}).out +
        "COMP_WORDS=(regrow config d); COMP_CWORD=2; _regrow; echo \"got ${COMPREPLY[*]}\"\n");
    FILE* pipe = ::popen(("bash " + script).c_str(), "r");
    char line[256] = "";
    CHECK(std::fgets(line, sizeof line, pipe));
    ::pclose(pipe);
    ::unlink(script.c_str());
    CHECK(std::string(line) == "got defaults\n");
}
