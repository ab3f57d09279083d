#include <catch2/catch.hpp>

#include "tests/conf/yaml.h"

using namespace regrow::conf::test;

TEST_CASE("an unknown key is answered with the one that was meant") {
    CHECK(complaints(withPool(kBackend + "chek: tcp")) ==
          "6:5: pools.app.chek is not a known key; did you mean 'check'?\n");
    CHECK(complaints(withTop("log: {leval: info}")) ==
          "1:7: log.leval is not a known key; did you mean 'level'?\n");
    CHECK(complaints(withTop("log: {zzzzzzzz: 1}")) ==
          "1:7: log.zzzzzzzz is not a known key; known here: level, format\n");
}

TEST_CASE("every problem is reported, in the order of the file") {
    CHECK(complaints("worker: 2\nlisteners: [{routes: [{pool: ap}]}]\npools: {app: {backends: "
                     "[{name: a}]}}") ==
          "1:1: worker is not a known key; did you mean 'workers'?\n"
          "2:13: listeners[0].listen is missing; add 'listen' (127.0.0.1:8080)\n"
          "2:30: listeners[0].routes[0].pool: there is no pool 'ap'; did you mean 'app'?\n"
          "3:26: pools.app.backends[0].address is missing; add 'address' (127.0.0.1:9001)\n");
}

TEST_CASE("values of the wrong form") {
    const auto [keys, said] = GENERATE(table<std::string, std::string>({
        {"workers: many",
         "1:10: workers must be a whole number from 1 to 256 or 'auto', not 'many'\n"},
        {"workers: 0", "1:10: workers must be a whole number from 1 to 256 or 'auto', not '0'\n"},
        {"workers: 99999999999999999999",
         "1:10: workers must be a whole number from 1 to 256 or 'auto', not "
         "'99999999999999999999'\n"},
        {"workers: [2]", "1:10: workers must be a single value or 'auto', not a list\n"},
        {"workers:",
         "1:1: workers has no value; give it one or remove the key (a text that reads 'null' needs "
         "quotes)\n"},
        {"state_dir: var/lib",
         "1:12: state_dir is wrong: 'var/lib' is not an absolute path; begin it with '/'\n"},
        {"log: {level: inof}",
         "1:14: log.level must be trace, debug, info, warn, error, not 'inof'; did you mean "
         "'info'?\n"},
        {"log: text",
         "1:6: log must be a map of keys, {key: value} or one 'key: value' a line, not a single "
         "value\n"},
        {"admin: {listen: localhost:9901}",
         "1:17: admin.listen is wrong: 'localhost:9901' is a name, and only addresses of "
         "backends are looked up; write the numeric address (127.0.0.1 for localhost) or "
         "unix:/path\n"},
        {"admin: {listen: 127.0.0.1}",
         "1:17: admin.listen is wrong: address '127.0.0.1' has no port; write HOST:PORT with a "
         "numeric host, [IPV6]:PORT or unix:/path\n"},
        {"access_log: {format: json}",
         "1:13: access_log.path is missing; add 'path' (/var/log/regrow/access.log)\n"},
    }));
    CHECK(complaints(withTop(keys)) == said);
}

TEST_CASE("values of the wrong form in a pool") {
    const auto [keys, said] = GENERATE(table<std::string, std::string>({
        {"slow_start: 10",
         "6:17: pools.app.slow_start is wrong: '10' is not a duration; write for example 500ms, "
         "10s, 5m, 24h or 7d\n"},
        {"slow_start: 9000w", "6:17: pools.app.slow_start must be from 0s to 3660d, not 9000w\n"},
        {"retry: {budget: 0.2}",
         "6:21: pools.app.retry.budget is wrong: '0.2' is not a percentage; write for example "
         "20%\n"},
        {"retry: {budget: 120%}",
         "6:21: pools.app.retry.budget must be from 0% to 100%, not 120%\n"},
        {"retry: {on: [unsend]}",
         "6:18: pools.app.retry.on[0] must be unsent, no_answer, 503, 5xx, not 'unsend'; did you "
         "mean 'unsent'?\n"},
        {"check: {http: /, rise: 0}",
         "6:28: pools.app.check.rise must be a whole number from 1 to 100, not '0'\n"},
        {"check: {http: healthz}",
         "6:19: pools.app.check.http must be a path that begins with '/' and holds no space; write "
         "for example /healthz\n"},
        {"check: {http: \"/a\\r\\nX: y\"}",
         "6:19: pools.app.check.http must be a path that begins with '/' and holds no space; write "
         "for example /healthz\n"},
        {"check: {http: /, expect: 200-99}",
         "6:30: pools.app.check.expect is wrong: '200-99' is not a status or range of them; write "
         "200 or 200-399 (100 to 599)\n"},
        {"check: {tcp: true, expect: 200}",
         "6:32: pools.app.check.expect belongs to an http check; add 'http: /path' or remove it\n"},
        {"check: {http: /, timeout: 2s}",
         "6:31: pools.app.check.timeout is longer than 'every', so one check would run into the "
         "next; shorten it or lengthen 'every'\n"},
        {"check: {http: /, tcp: true}",
         "6:12: pools.app.check names more than one kind of check; write a list: [{tcp: true}, "
         "{http: /healthz}]\n"},
        {"check: {tcp: 9000}",
         "6:18: pools.app.check.tcp must be true; the port is that of the server's address\n"},
        {"check: []", "6:12: pools.app.check is empty; write at least one, or remove the key\n"},
        {"check: {command: []}", "6:22: pools.app.check.command is empty; write at least one\n"},
        {"recovery: {budget: often}",
         "6:24: pools.app.recovery.budget is wrong: 'often' is not a rate; write a number and a "
         "time, for example '2 per 1h'\n"},
        {"recovery: {rescue: yes}",
         "6:24: pools.app.recovery.rescue must be true or false, not 'yes'\n"},
        {"recovery: {hooks: {fence: fence.sh}}",
         "6:31: pools.app.recovery.hooks.fence must be a list, [a, b] or one '- item' a line, not "
         "a single value\n"},
    }));
    CHECK(complaints(withPool(kBackend + keys)) == said);
}

TEST_CASE("names are fit for files and URLs") {
    CHECK(complaints("listeners: [{listen: 127.0.0.1:80, routes: [{pool: a}]}]\n"
                     "pools: {a: {backends: [{name: ../b, address: 127.0.0.1:1}]}}") ==
          "2:31: pools.a.backends[0].name is wrong: '../b' is not a name; use 1 to 64 letters, "
          "digits, '.', '_' and '-', beginning "
          "with a letter or digit\n");
}

TEST_CASE("what is not available yet is refused by name, never ignored") {
    const auto [keys, path] = GENERATE(table<std::string, std::string>({
        {"agents: {h: {}}", "agents"},
        {"coordination: {etcd: {}}", "coordination"},
        {"repositories: {far: {s3: {bucket: b}}}", "repositories.far.s3"},
    }));
    const auto said = complaints(withTop(keys));
    CHECK(said.find(": " + path + " is not available in this version of regrow; remove it\n") !=
          std::string::npos);
    CHECK(std::count(said.begin(), said.end(), '\n') == 1);
}

TEST_CASE("what a pool and a listener cannot do yet is refused by name") {
    const auto [keys, said] = GENERATE(table<std::string, std::string>({
        {"http: 3", "pools.app.http must be 1, 2, not '3'"},
        {"http: 2\nproxy_protocol: v2",
         "pools.app.proxy_protocol names one client for a connection, and with 'http: 2' many"},
        {"cache: {size: 1MiB}",
         "pools.app.cache is not available in this version of regrow other than 'off'; remove it"},
        {"data: replica",
         "pools.app.data 'replica' is not available in this version of regrow; write own or none"},
        {"check: tls",
         "pools.app.check 'tls' is not available in this version of regrow; write tcp or "
         "{http: /healthz}"},
        {"check: {redis: {}}",
         "pools.app.check.redis is not available in this version of regrow; remove it"},
        {"check: [{tls: true}, {postgres: x}, {grpc: y}]",
         "pools.app.check[1].postgres is not available"},
        {"observe: {error_rate: 50%}", "pools.app.observe.error_rate is not available"},
        {"retry: {attempts: 1, hedge: true}",
         "pools.app.retry.hedge asks twice, but attempts allows one"},
        {"observe: {slow: {p99: 2s}}", "pools.app.observe.slow is not available"},
        {"backup: {repository: r, capture: {redis: {}}}",
         "pools.app.backup.capture is not available in this version of regrow other than 'auto'"},
        {"backup: {repository: r, barrier: 200ms}",
         "pools.app.backup.barrier is not available in this version of regrow other than 'off'"},
        {"backup: {repository: r, safe_when: 2}",
         "pools.app.backup.safe_when is not available in this version of regrow other than '1'"},
        {"backup: {repository: r, keep: {all: 1h}}", "pools.app.backup.keep is not available"},
        {"backup: {repository: r, drill: 24h}", "pools.app.backup.drill is not available"},
        {"backup: {repository: [r, s]}",
         "several repositories are not available in this version of regrow"},
        {"recovery: {restore: {within: 10m}}",
         "pools.app.recovery.restore is not available in this version of regrow other than 'fast'"},
        {"recovery: {notify: [{webhook: 'https://h/'}]}",
         "pools.app.recovery.notify[0].webhook is not available"},
        {"recovery: {hooks: {restore: [r]}}",
         "pools.app.recovery.hooks.restore is not available in this version of regrow other than "
         "'builtin'"},
        {"spares: [{name: s, address: 127.0.0.1:2, agent: h}]",
         "pools.app.spares[0].agent is not available"},
    }));
    INFO(complaints(withPool(kBackend + keys)));
    CHECK(complaints(withPool(kBackend + keys)).find(said) != std::string::npos);
}

TEST_CASE("a route that would hedge with a single attempt is refused, wherever that is written") {
    const auto [pool, route, said] = GENERATE(table<std::string, std::string, std::string>({
        {"attempts: 1", "hedge: true",
         "routes[0].retry.hedge asks twice, but pools.app.retry.attempts allows one"},
        {"attempts: 2", "{attempts: 1, hedge: true}", "retry.hedge asks twice, but attempts"},
        {"attempts: 1", "hedge: false", ""},
        {"hedge: true", "attempts: 1", ""},
        {"attempts: 1", "{attempts: 2, hedge: true}", ""},
        {"hedge: true", "{attempts: 1, hedge: false}", ""},
    }));
    const std::string keys = route.starts_with('{') ? route : "{" + route + "}";
    const auto found = complaints(
        "listeners: [{listen: 127.0.0.1:80, routes: [{pool: app, retry: " + keys +
        "}]}]\npools: {app: {retry: {" + pool + "}, backends: [{name: a, address: 127.0.0.1:1}]}}");
    INFO(found);
    CHECK((said.empty() ? found.empty() : found.find(said) != std::string::npos));
}
