#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "conf/route.h"
#include "conf/tls.h"

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
    Duration request{};   // for all of a request and its response; 0: no limit
    friend bool operator==(const ListenerTimeouts&, const ListenerTimeouts&) = default;
};

// Who may come, and how much of one client is taken: an IPv4 address or the /64 of an IPv6 one.
// 0: no limit.
struct Accept {
    std::vector<std::string> allow;  // CIDRs; empty: all
    std::vector<std::string> deny;   // wins
    int connections_per_ip = 0;
    int requests_per_second = 0;
    int burst = 0;
    int concurrent_requests = 0;
    bool on() const { return *this != Accept{}; }
    friend bool operator==(const Accept&, const Accept&) = default;
};

// Of the whole process. 0: auto.
struct Limits {
    int connections = 0;
    uint64_t memory = 0;
    friend bool operator==(const Limits&, const Limits&) = default;
};

enum class ListenerMode : uint8_t { http, tcp };
enum class ProxyProtocol : uint8_t { off, v1, v2, any };

struct Listener {
    Address listen;
    ListenerMode mode = ListenerMode::http;
    std::string pool;                                   // with tcp
    int unix_mode = 0660;                               // of a unix path
    ProxyProtocol proxy_protocol = ProxyProtocol::off;  // what connections begin with
    ListenerTimeouts timeouts;
    bool h2c = false;  // HTTP/2 without TLS, by prior knowledge
    std::vector<std::string>
        trusted_proxies;  // CIDRs; only their X-Forwarded-* is believed and extended
    ListenerTls tls;
    Accept accept;
    std::vector<Route> routes;  // first match wins
    ErrorPages error_pages;
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

enum class Balance { round_robin, least_requests, random_two, ewma, hash };

enum class HashOn { ip, path, header, cookie };
struct HashKey {
    HashOn on = HashOn::ip;
    std::string name;     // of the header or cookie
    double bound = 1.25;  // most of its average share that a backend takes
    friend bool operator==(const HashKey&, const HashKey&) = default;
};

struct Retry {
    int attempts = 2;  // counts the first
    double budget = 0.20;
    // What may be retried on another backend. `unsent`: any method; the others: idempotent methods
    // only.
    bool unsent = true;
    bool no_answer = true;
    bool on_503 = true;
    bool on_5xx = false;
    bool hedge = false;  // a second backend is asked when the first takes long
    friend bool operator==(const Retry&, const Retry&) = default;
};

// Codings of a response's content, for clients that take them.
enum class Coding : uint8_t { identity, gzip, br, zstd };
struct Compression {
    bool on = false;
    std::vector<Coding> codings = {Coding::zstd, Coding::br, Coding::gzip};  // best first
    std::vector<std::string> types = {"text/*",
                                      "application/json",
                                      "application/ld+json",
                                      "application/problem+json",
                                      "application/manifest+json",
                                      "application/xml",
                                      "application/xhtml+xml",
                                      "application/rss+xml",
                                      "application/atom+xml",
                                      "application/javascript",
                                      "application/wasm",
                                      "image/svg+xml"};
    uint64_t min_bytes = 1024;  // of a response whose length is known
    friend bool operator==(const Compression&, const Compression&) = default;
};

struct PoolTimeouts {
    Duration connect = 1s;
    Duration first_byte = 30s;
    Duration idle = 60s;
    Duration tunnel = 1h;  // longest silence of a TCP session or a WebSocket
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
    std::string lookup;  // "app.internal:8080": the address is a name's, and found while running;
                         // empty: it is as written
    std::string data;    // absolute directory; empty: stateless
    Service service;
    friend bool operator==(const Server&, const Server&) = default;
};

struct Backend {
    std::string name;  // the place; unique in the pool
    int weight = 1;
    int max_connections = 0;  // 0 = no limit
    int priority = 0;         // higher ones are used when no lower one accepts
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
    HashKey hash;                           // with Balance::hash
    std::string affinity_cookie;            // empty: off
    std::vector<Check> checks = {Check{}};  // all must pass
    Observe observe;
    Retry retry;
    PoolTimeouts timeouts;
    bool http2 = false;  // what backends speak
    PoolTls tls;
    ProxyProtocol proxy_protocol = ProxyProtocol::off;  // what our connections begin with
    Hold hold;
    Compression compress;
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
    std::string user;  // to become after binding; empty: stay as started
    AdminConfig admin;
    LogConfig log;
    AccessLogConfig access_log;
    std::string audit_log;  // path; empty: state_dir/audit.log
    Limits limits;
    std::vector<Listener> listeners;
    std::map<std::string, Pool> pools;
    std::map<std::string, Repository> repositories;
    friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace regrow::conf
