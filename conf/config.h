#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"

// What the operator writes, as plain values. Everything has its default here, so a Config{} is the
// default configuration; load.cc is the only code that knows YAML. Durations are zero for "off"
// where a key takes `off`. Immutable once loaded; shared by control and (through the views control
// builds) the workers.
namespace regrow::conf {

using namespace std::chrono_literals;

using Argv = std::vector<std::string>;

struct LogConfig {
    std::string level = "info";   // trace debug info warn error
    std::string format = "text";  // text json
    friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

struct AccessLogConfig {
    bool on = false;
    std::string path;
    std::string format = "combined";  // combined json
    friend bool operator==(const AccessLogConfig&, const AccessLogConfig&) = default;
};

struct AdminConfig {
    std::optional<Address> listen = Address::loopback(9901);  // absent: no admin endpoint
    std::string token_file;
    friend bool operator==(const AdminConfig&, const AdminConfig&) = default;
};

struct ListenerTimeouts {
    Duration header = 10s;
    Duration idle = 60s;
    Duration body = 30s;  // longest silence while a body is under way
    friend bool operator==(const ListenerTimeouts&, const ListenerTimeouts&) = default;
};

struct Route {
    std::string host = "*";  // exact, lower case, or "*"
    std::string path = "/";  // prefix
    std::string pool;
    friend bool operator==(const Route&, const Route&) = default;
};

struct Listener {
    Address listen;
    ListenerTimeouts timeouts;
    std::vector<std::string>
        trusted_proxies;        // CIDRs; only their X-Forwarded-* is believed and extended
    std::vector<Route> routes;  // first match wins
    friend bool operator==(const Listener&, const Listener&) = default;
};

enum class CheckKind { tcp, http, command };
struct Check {
    CheckKind kind = CheckKind::tcp;
    std::string http_path;  // for http
    std::string http_host;  // Host sent; empty: the backend's address
    int expect_low = 200;   // inclusive status range
    int expect_high = 399;
    Argv command;  // for command; exit 0 = good
    Duration every = 1s;
    Duration timeout = 500ms;
    int rise = 2;
    int fall = 3;
    friend bool operator==(const Check&, const Check&) = default;
};

struct Observe {
    bool on = true;
    int errors_in_a_row = 3;
    friend bool operator==(const Observe&, const Observe&) = default;
};

enum class Balance { round_robin, least_requests };

struct Retry {
    int attempts = 2;  // counts the first
    double budget = 0.20;
    // What may be retried on another backend. `unsent`: any method; the others: idempotent methods
    // only.
    bool unsent = true;
    bool no_answer = true;
    bool on_503 = true;
    bool on_5xx = false;
    friend bool operator==(const Retry&, const Retry&) = default;
};

struct PoolTimeouts {
    Duration connect = 1s;
    Duration first_byte = 30s;
    Duration idle = 60s;
    friend bool operator==(const PoolTimeouts&, const PoolTimeouts&) = default;
};

struct Hold {
    bool on = true;
    Duration wait = 30s;
    int requests = 10000;
    friend bool operator==(const Hold&, const Hold&) = default;
};

// How a server is started and stopped. Empty `run` and `start`: not ours to start.
struct Service {
    Argv run;  // supervised in the foreground by us
    std::string user;
    std::string directory;
    std::vector<std::string> environment;  // NAME=value
    std::string log;                       // empty: state_dir/logs/SERVER.log
    int restart = 1;                       // in-place restarts before a recovery; 0 = never
    Argv start;                            // or somebody else's supervisor
    Argv stop;
    Argv status;  // exit 0 = running; required for start/stop services, a stop that returns 0
                  // proves nothing
    bool supervised() const { return !run.empty(); }
    bool foreign() const { return !start.empty(); }
    friend bool operator==(const Service&, const Service&) = default;
};

// What fills a place.
struct Server {
    std::string name;
    Address address;
    std::string data;  // absolute directory; empty: stateless
    Service service;
    friend bool operator==(const Server&, const Server&) = default;
};

struct Backend {
    std::string name;  // the place; unique in the pool
    int weight = 1;
    int max_connections = 0;  // 0 = no limit
    Server server;            // that fills it at first; its name defaults to the backend's
    friend bool operator==(const Backend&, const Backend&) = default;
};

struct Backup {
    bool on = false;
    std::vector<std::string> repositories;  // names; the first is read for a restore
    Duration every = 5s;
    Duration full = std::chrono::hours(24 * 7);
    std::vector<std::string> exclude;  // glob patterns
    friend bool operator==(const Backup&, const Backup&) = default;
};

enum class RecoveryMode { automatic, approve, off };
struct Hook {
    Argv argv;
    Duration timeout = 30s;
    friend bool operator==(const Hook&, const Hook&) = default;
};
struct Recovery {
    RecoveryMode mode = RecoveryMode::automatic;
    bool rescue = true;
    int budget_count = 2;
    Duration budget_per = std::chrono::hours(1);
    bool unfenced_proceed = false;  // recovery.unfenced: hold | proceed
    Duration warm_ramp = 0s;        // = the pool's slow_start
    std::vector<Argv> notify;       // commands run on every end of a recovery and every hold
    std::optional<Hook> fence, prepare, verify, after;
    friend bool operator==(const Recovery&, const Recovery&) = default;
};

enum class DataKind { own, none };
struct Pool {
    std::string name;
    DataKind data = DataKind::own;
    Balance balance = Balance::least_requests;
    std::vector<Check> checks = {Check{}};  // all must pass
    Observe observe;
    Retry retry;
    PoolTimeouts timeouts;
    Hold hold;
    Duration slow_start = 10s;
    std::vector<Backend> backends;
    std::vector<Server> spares;
    Backup backup;
    Recovery recovery;
    friend bool operator==(const Pool&, const Pool&) = default;
};

struct Repository {
    std::string name;
    std::string path;
    std::string key_file;
    friend bool operator==(const Repository&, const Repository&) = default;
};

struct Config {
    std::string file;  // where it was read from
    int workers = 0;   // 0 = auto
    std::string state_dir = "/var/lib/regrow";
    AdminConfig admin;
    LogConfig log;
    AccessLogConfig access_log;
    std::string audit_log;  // path; empty: state_dir/audit.log
    std::vector<Listener> listeners;
    std::map<std::string, Pool> pools;
    std::map<std::string, Repository> repositories;
    friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace regrow::conf
