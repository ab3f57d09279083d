#include "proxy/cli/demo_world.h"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "backup/keyring.h"
#include "base/address.h"
#include "base/file.h"
#include "proxy/recovery/process_tree.h"

namespace regrow::cli {
namespace {

using namespace std::chrono_literals;

// Bound and closed again: free a moment ago is as good as it gets without handing over the socket.
Result<uint16_t> freePort() {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const Address any = Address::loopback(0);
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    if (!fd || ::bind(fd.get(), any.sockaddrPtr(), any.length()) != 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &length) != 0)
        return failErrno(errno, "finding a free port", Source::us);
    return Address::fromSockaddr(reinterpret_cast<sockaddr*>(&bound), length).port();
}

Result<> addressFree(const std::string& text, const char* option) {
    REGROW_TRY(const auto address, Address::parse(text));
    const UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int yes = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd && ::bind(fd.get(), address.sockaddrPtr(), address.length()) == 0) return {};
    return failErrno(errno,
                     text + " (stop what uses it, or name another with " + option + " HOST:PORT)",
                     Source::us);
}

bool installed(const std::string& program) {
    const char* path = std::getenv("PATH");
    std::string_view rest = path ? path : "/usr/bin:/bin";
    while (!rest.empty()) {
        const auto colon = rest.find(':');
        if (::access((std::string(rest.substr(0, colon)) + "/" + program).c_str(), X_OK) == 0)
            return true;
        rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    }
    return false;
}

std::string server(const std::string& name, const std::string& directory, uint16_t port,
                   const char* restart) {
    return fmt::format(R"(      - name: {0}
        address: 127.0.0.1:{2}
        data: {1}/{0}
        service:
          run: [radicale, --config, "", --server-hosts, "127.0.0.1:{2}", --auth-type, none, --rights-type, authenticated,
                --storage-filesystem-folder, "{1}/{0}", --web-type, internal]
{3})",
                       name, directory, port, restart);
}

void waitGone(const ChildProcess& child, Duration patience) {
    pollfd exited{child.pidfd.get(), POLLIN, 0};
    if (::poll(&exited, 1, static_cast<int>(toMs(patience))) == 0)
        ::kill(child.pid, SIGKILL), ::poll(&exited, 1, 2000);
    reap(child.pid);
}

bool anywhere(const Address& address) {
    return address.host() == "0.0.0.0" || address.host() == "::" || address.host() == "[::]";
}

Result<Address> withPort(const std::string& text, const char* option) {
    auto address = Address::parse(text);
    if (!address)
        return fail(Code::invalid, Source::client,
                    fmt::format("{}: {}", option, address.error().message));
    if (address->isUnix() || address->port() == 0)
        return fail(Code::invalid, Source::client,
                    fmt::format("{} {}: a port is needed that others can be told, as in {}", option,
                                text, "127.0.0.1:8080"));
    return address;
}

}  // namespace

Result<> checkDemoAddresses(const DemoOptions& options) {
    REGROW_TRY(const Address listen, withPort(options.listen, "--listen"));
    REGROW_TRY(const Address admin, withPort(options.admin, "--admin"));
    const bool clash =
        listen.port() == admin.port() && (listen == admin || anywhere(listen) || anywhere(admin));
    if (!clash) return {};
    return fail(Code::invalid, Source::client,
                fmt::format("--listen {} and --admin {} are the same port; the service and the "
                            "dashboard need one each",
                            options.listen, options.admin));
}

std::string demoConfig(const DemoOptions& options, const std::string& directory,
                       const std::vector<uint16_t>& ports) {
    // Only the flapping backend is started again in place; the others are to show a recovery.
    const char* restart =
        options.scenario == "flap" ? "          restart: 1\n" : "          restart: never\n";
    return fmt::format(
        R"(# Written by `regrow demo --scenario {0}`. Once the demo has ended it works as it is: regrow run -c THIS-FILE
state_dir: {1}/state
admin: {{listen: "{2}"}}            # dashboard, /stats, /metrics, /events
log: {{level: info}}
access_log: {{path: {1}/access.log, format: combined}}

listeners:
  - listen: "{3}"
    routes:
      - {{host: "*", path: /, pool: calendar}}

pools:
  calendar:
    data: own
    check: {{http: /.web/, expect: 200-399, every: 500ms, timeout: 400ms, rise: 2, fall: 3}}
    hold: {{wait: 30s, requests: 10000}}   # requests wait while the only backend is regrown
    slow_start: 1s
    backends:
{4}    spares:
{5}{6}    backup:
      repository: main
      every: 2s
    recovery:
      mode: auto
      rescue: true

repositories:
  main: {{path: {1}/backups, key_file: {1}/backup.key}}
)",
        options.scenario, directory, options.admin, options.listen,
        server("calendar-1", directory, ports.at(0), restart),
        server("calendar-spare", directory, ports.at(1), restart),
        server("calendar-spare-2", directory, ports.at(2), restart));
}

Result<DemoWorld> DemoWorld::start(const DemoOptions& options) {
    if (!installed("radicale"))
        return fail(Code::not_found, Source::us,
                    "radicale is not installed; `apt-get install radicale`, or use script/run");
    REGROW_CHECK(addressFree(options.listen, "--listen"));
    REGROW_CHECK(addressFree(options.admin, "--admin"));
    std::string directory = std::filesystem::temp_directory_path().string() + "/regrow-demo-XXXXXX";
    if (!::mkdtemp(directory.data()))
        return failErrno(
            errno, "making a directory in " + std::filesystem::temp_directory_path().string());
    DemoWorld world(std::move(directory), options);
    auto started = world.writeFiles();
    if (started) started = world.startProxy();
    if (started) return world;
    world.end();
    std::error_code ignored;
    std::filesystem::remove_all(world.directory_, ignored);
    return std::unexpected(std::move(started).error());
}

Result<> DemoWorld::writeFiles() const {
    std::vector<uint16_t> ports;
    for (int i = 0; i < 3; ++i) {
        REGROW_TRY(const uint16_t port, freePort());
        ports.push_back(port);
    }
    REGROW_CHECK(backup::writeKeyFile(directory_ + "/backup.key"));
    return writeFileAtomic(configFile(), demoConfig(options_, directory_, ports), 0644);
}

Result<> DemoWorld::startProxy() {
    SpawnOptions options;
    options.argv = {"/proc/self/exe", "run", "-c", configFile()};
    options.output = logFile();
    options.new_session = true;
    options.die_with_parent = !options_.keep;
    REGROW_TRY(proxy_, spawn(options));
    return {};
}

bool DemoWorld::running() const {
    pollfd exited{proxy_.pidfd.get(), POLLIN, 0};
    return ::poll(&exited, 1, 0) == 0;
}

// The proxy leaves its servers running, as it must; here their time ends too. They are found by
// their token.
void DemoWorld::end() {
    if (proxy_.pid > 0) {
        ::kill(proxy_.pid,
               SIGKILL);  // nothing of it is needed any more, and nothing may restart a server now
        waitGone(proxy_, 2s);
    }
    if (const auto instance = readFile(directory_ + "/state/instance", 256)) {
        const std::string id = instance->substr(0, instance->find('\n'));
        for (const char* name : {"calendar-1", "calendar-spare", "calendar-spare-2"})
            recovery::killTree({std::nullopt, id + ":calendar/" + name}, Duration{}, 5s);
    }
}

}  // namespace regrow::cli
