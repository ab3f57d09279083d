#include <catch2/catch.hpp>

#include "tests/conf/yaml.h"

using namespace regrow::conf::test;

namespace {

// One pool `app` with these servers; servers begin in line 5.
std::string servers(const std::string& lines, const std::string& rest = "") {
    return withPool(lines, rest);
}

const std::string kMain = "repositories: {main: {path: /backups, key_file: /k}}\n";

}  // namespace

TEST_CASE("routes that cannot be reached, and addresses taken twice") {
    CHECK(complaints(
              "listeners:\n  - {listen: 127.0.0.1:80, routes: [{pool: a}, {path: /x, pool: a}]}\n"
              "  - {listen: 127.0.0.1:80, routes: [{pool: a}]}\n"
              "  - {listen: 127.0.0.1:9901, routes: [{path: /x, pool: a}, {path: /y, pool: a}]}\n"
              "pools: {a: {backends: [{name: a, address: 127.0.0.1:1}]}}") ==
          "2:48: listeners[0].routes[1] is never reached: routes[0] (host *, path /) takes "
          "everything it matches, and the first match "
          "wins; move it up or remove it\n"
          "3:14: listeners[1].listen: 127.0.0.1:80 is taken by listeners[0].listen already; choose "
          "another port\n"
          "4:14: listeners[2].listen: 127.0.0.1:9901 is taken by admin.listen already; choose "
          "another port\n");
}

TEST_CASE("routes and networks of the wrong form") {
    CHECK(
        complaints("listeners: [{listen: 127.0.0.1:80, trusted_proxies: [10.0.0.1/8, x], routes: "
                   "[{path: x, host: 'a:80', pool: a}]}]\n"
                   "pools: {a: {backends: [{name: a, address: 127.0.0.1:1}]}}") ==
        "1:54: listeners[0].trusted_proxies[0] is wrong: '10.0.0.1/8' has bits set beyond its /8; "
        "write the network's first address\n"
        "1:66: listeners[0].trusted_proxies[1] is wrong: 'x' is not a network; write for example "
        "10.0.0.0/8, fd00::/8 or 192.0.2.7\n"
        "1:86: listeners[0].routes[0].path must begin with '/' and hold no '?', '#' or space\n"
        "1:95: listeners[0].routes[0].host must be a host name without port, "
        "\"*.example.org\" for every host below that name, or \"*\" for any\n");
}

TEST_CASE("an admin endpoint that others can reach needs a token") {
    CHECK(complaints(withTop("admin: {listen: 0.0.0.0:9901}")) ==
          "1:17: admin.listen: 0.0.0.0:9901 can be reached from other machines, and there is no "
          "token_file; add 'token_file: /path' or "
          "listen on 127.0.0.1\n");
    CHECK(complaints(withTop("admin: {listen: 0.0.0.0:9901, token_file: /t}")).empty());
    CHECK(complaints(withTop("admin: {listen: unix:/run/r.sock}")).empty());
}

TEST_CASE("names and addresses are unique in a pool") {
    CHECK(complaints(servers(
              "backends:\n- {name: a, address: 127.0.0.1:1}\n- {name: a, address: 127.0.0.1:1}\n"
              "spares:\n- {name: a, address: 127.0.0.1:0}")) ==
          "7:14: pools.app.backends[1]: the name 'a' is pools.app.backends[0]'s already; choose "
          "another\n"
          "7:26: pools.app.backends[1].address: 127.0.0.1:1 is pools.app.backends[0]'s already; "
          "give each server its own\n"
          "9:14: pools.app.spares[0]: the name 'a' is pools.app.backends[0]'s already; choose "
          "another\n"
          "9:26: pools.app.spares[0].address: port 0 cannot be connected to; write the server's "
          "port\n");
}

TEST_CASE("two pools may share a server unless regrow starts it") {
    const auto two = [](const std::string& service) {
        return "listeners: [{listen: 127.0.0.1:80, routes: [{pool: a}]}]\npools:\n  a: {backends: "
               "[{name: x, address: 127.0.0.1:1}]}\n"
               "  b: {backends: [{name: y, address: 127.0.0.1:1" +
               service + "}]}";
    };
    CHECK(complaints(two("")).empty());
    CHECK(complaints(two(", service: {run: [x]}"))
              .find("pools.b.backends[0].address: 127.0.0.1:1 is pools.a.backends[0]'s") !=
          std::string::npos);
}

TEST_CASE("a backend that is the proxy itself") {
    CHECK(complaints("listeners: [{listen: '0.0.0.0:80', routes: [{pool: a}]}]\npools: {a: "
                     "{backends: [{name: x, address: 127.0.0.1:80}]}}") ==
          "2:43: pools.a.backends[0].address: 127.0.0.1:80 is where listeners[0] listens "
          "(0.0.0.0:80), so regrow would talk to itself; "
          "write the server's own address\n");
}

TEST_CASE("a spare of a pool with data needs a directory and a way to start") {
    CHECK(complaints(servers("backends: [{name: a, address: 127.0.0.1:1, data: /d}]\nspares: "
                             "[{name: s, address: 127.0.0.1:2}]")) ==
          "6:14: pools.app.spares[0].data is missing: the pool's backends hold data, so a spare "
          "needs a directory to restore it to; add "
          "'data: /path'\n"
          "6:14: pools.app.spares[0].service is missing: a spare does not run until its data is "
          "restored, so regrow must be able to start "
          "it; add 'service: {run: [ … ]}'\n");
    CHECK(complaints(servers("data: none\nbackends: [{name: a, address: 127.0.0.1:1}]\nspares: "
                             "[{name: s, address: 127.0.0.1:2}]"))
              .empty());
}

TEST_CASE("services say how they are stopped and seen") {
    const auto service = [](const std::string& s) {
        return complaints(
            servers("backends: [{name: a, address: 127.0.0.1:1, service: " + s + "}]"));
    };
    const std::string where = "pools.app.backends[0].service";
    CHECK(service("{start: [s], stop: [t]}") ==
          "5:57: " + where +
              " has 'start' but no 'status'; a 'stop' that exits with 0 does not prove that the "
              "server is gone: add a "
              "'status' command that exits with 0 only while it runs\n");
    CHECK(service("{start: [s], status: [t]}").find("has 'start' but no 'stop'") !=
          std::string::npos);
    CHECK(service("{run: [s], start: [t]}").find(".start stands beside 'run'; keep one") !=
          std::string::npos);
    CHECK(service("{run: [s], stop: [t]}").find(".stop belongs to 'start'") != std::string::npos);
    CHECK(service("{start: [s], stop: [t], status: [u], user: x}").find(".user belongs to 'run'") !=
          std::string::npos);
    CHECK(service("{}").find("starts nothing; add 'run'") != std::string::npos);
    CHECK(service("{run: []}").find(".run is empty") != std::string::npos);
    CHECK(service("{run: [s], environment: {1X: y}}").find("'1X=y' is not NAME=value") !=
          std::string::npos);
    CHECK(service("{run: [s], environment: [PATH]}").find("'PATH' is not NAME=value") !=
          std::string::npos);
    CHECK(service("{run: [s], log: x.log}").find("'x.log' is not an absolute path") !=
          std::string::npos);
    CHECK(service("{run: [s], restart: often}")
              .find("must be a whole number from 0 to 100 or 'never'") != std::string::npos);
    CHECK(service("{run: [s, [t]]}").find(".run[1] must be a single value, not a list") !=
          std::string::npos);
}

TEST_CASE("a backup needs a repository and data") {
    CHECK(
        complaints(servers(
            "backends: [{name: a, address: 127.0.0.1:1}]\nbackup: {repository: mian}", kMain)) ==
        "5:16: pools.app.backends[0].data is missing: the pool is backed up; add 'data: /path', "
        "the directory to back up\n"
        "6:26: pools.app.backup.repository: there is no repository 'mian'; did you mean 'main'?\n");
    CHECK(complaints(servers("data: none\nbackends: [{name: a, address: 127.0.0.1:1, data: "
                             "/d}]\nbackup: {repository: main}",
                             kMain)) ==
          "6:54: pools.app.backends[0].data: the pool says 'data: none'; remove one of the two\n"
          "7:13: pools.app.backup stands in a pool of 'data: none'; remove it, or write 'data: "
          "own'\n");
    CHECK(complaints(servers("backends: [{name: a, address: 127.0.0.1:1, data: /d}]\nbackup: "
                             "{repository: main, every: 1h, full: 1m}",
                             kMain)) ==
          "6:49: pools.app.backup.full is shorter than 'every'; make it at least as long\n");
}

TEST_CASE("directories that must not meet") {
    const auto with = [](const std::string& a, const std::string& b, const std::string& repository,
                         const std::string& state) {
        return complaints(servers("backends:\n- {name: a, address: 127.0.0.1:1, data: " + a +
                                      "}\n- {name: b, address: 127.0.0.1:2, data: " + b + "}",
                                  "repositories: {main: {path: " + repository +
                                      ", key_file: /k}}\nstate_dir: " + state + "\n"));
    };
    CHECK(with("/d/a", "/d/ab", "/state/backups", "/state").empty());
    CHECK(
        with("/d/a", "/d/./a/", "/r", "/s")
            .find(
                "pools.app.backends[1].data: /d/a/ is also pools.app.backends[0].data (/d/a/); two "
                "servers' data must not meet") != std::string::npos);
    CHECK(with("/d/a", "/d/a/b", "/r", "/s").find("lies inside pools.app.backends[0].data") !=
          std::string::npos);
    CHECK(with("/d", "/e", "/d/r", "/s")
              .find("pools.app.backends[0].data: /d/ contains repositories.main.path (/d/r/)") !=
          std::string::npos);
    CHECK(with("/r/d", "/e", "/r", "/s")
              .find("pools.app.backends[0].data: /r/d/ lies inside repositories.main.path") !=
          std::string::npos);
    CHECK(with("/d", "/e", "/r", "/d/s").find("/d/ contains state_dir (/d/s/)") !=
          std::string::npos);
    CHECK(with("/s/../s/d", "/e", "/r", "/s").find("lies inside state_dir") != std::string::npos);
    CHECK(with("/d", "/e", "/r", "/r/s")
              .find("repositories.main.path: /r/ contains state_dir (/r/s/)") != std::string::npos);
}

TEST_CASE("a pool nobody could serve from") {
    CHECK(complaints(servers("backends: [{name: a, address: 127.0.0.1:1, weight: 0}]"))
              .find("all have weight 0") != std::string::npos);
    CHECK(complaints(servers("backends: [{name: a, address: 127.0.0.1:1, weight: 257}]"))
              .find("from 0 to 256") != std::string::npos);
    CHECK(complaints(servers("backends: []")).find("pools.app.backends is empty") !=
          std::string::npos);
}
