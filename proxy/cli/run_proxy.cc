#include "proxy/cli/run_proxy.h"

#include <event2/event.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/privileges.h"
#include "base/process_limits.h"
#include "conf/load.h"
#include "proxy/admin/admin_server.h"
#include "proxy/control/control_plane.h"

namespace regrow::cli {
namespace {

using namespace std::chrono_literals;

constexpr Duration kDrain = 10s;

log::Level levelOf(const std::string& name) {
    if (name == "trace") return log::Level::trace;
    if (name == "debug") return log::Level::debug;
    if (name == "warn") return log::Level::warn;
    if (name == "error") return log::Level::error;
    return log::Level::info;
}

void initLog(const conf::Config& config) {
    log::init(levelOf(config.log.level),
              config.log.format == "json" ? log::Format::json : log::Format::text);
}

// All problems of the file as one error: what a reload that must not happen answers.
Result<std::shared_ptr<const conf::Config>> read(const std::string& path) {
    auto config = conf::load(path, conf::Depth::files);
    if (config) return std::make_shared<const conf::Config>(std::move(*config));
    std::string all;
    for (const auto& problem : config.error()) all += (all.empty() ? "" : "\n") + problem.text();
    return fail(Code::invalid, Source::config, all);
}

// Before anything is opened: what only root could read or write would fail at the first reload.
Result<> takeUser(const conf::Config& config) {
    if (config.user.empty()) return {};
    REGROW_CHECK(becomeUser(config.user));
    REGROW_CHECK(requireWritable(config.state_dir, "state_dir"));
    for (const auto& [name, repository] : config.repositories)
        REGROW_CHECK(requireWritable(repository.path, "repository " + name + ":"));
    const auto logTo = [](const std::string& path, const std::string& what) -> Result<> {
        if (path.empty() || ::access(path.c_str(), W_OK) == 0) return {};
        if (::access(path.c_str(), F_OK) == 0) return failErrno(EACCES, what + " " + path);
        return requireWritable(path.substr(0, path.rfind('/') + 1), what);
    };
    if (config.access_log.on) REGROW_CHECK(logTo(config.access_log.path, "access_log.path"));
    return logTo(config.audit_log, "audit_log.path");
}

int refuse(const Error& error) {
    fmt::print(stderr, "regrow: {}\n", error.message);
    return 1;
}

// One signal, handled on the loop like any other event.
class Signal {
  public:
    Signal(EventLoop& loop, int number, std::function<void()> handler)
        : handler_(std::move(handler)) {
        event_ = evsignal_new(
            loop.base(), number,
            [](evutil_socket_t, short, void* self) { static_cast<Signal*>(self)->handler_(); },
            this);
        event_add(event_, nullptr);
    }
    ~Signal() { event_free(event_); }
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;

  private:
    std::function<void()> handler_;
    event* event_ = nullptr;
};

}  // namespace

int runProxy(const std::string& config_path) {
    auto config = read(config_path);
    if (!config) return refuse(config.error());
    initLog(**config);
    raiseDescriptorLimit();
    if (const auto become = takeUser(**config); !become) return refuse(become.error());

    const SystemClock clock;
    EventLoop loop;
    std::unique_ptr<admin::AdminServer> admin;
    auto plane = control::ControlPlane::start(
        loop, clock, *config, {.reload = [&]() -> Result<std::shared_ptr<const conf::Config>> {
            REGROW_TRY(auto again, read(config_path));
            initLog(*again);
            if (admin) REGROW_CHECK(admin->reloadToken(again->admin.token_file));
            return again;
        }});
    if (!plane) return refuse(plane.error());
    if ((*config)->admin.listen) {
        auto started = admin::AdminServer::start(loop, (*config)->admin, **plane);
        if (!started) return refuse(started.error());
        admin = std::move(*started);
    }

    bool stopping = false;
    const auto stop = [&] {
        if (stopping) return loop.stop();  // asked twice: at once
        stopping = true;
        (*plane)->drain(kDrain, [&loop] { loop.stop(); });
    };
    const Signal terminate(loop, SIGTERM, stop);
    const Signal interrupt(loop, SIGINT, stop);
    const Signal hangup(loop, SIGHUP, [&] {
        if (const auto done = (*plane)->reload("SIGHUP"); !done)
            log::error("reload", "nothing was changed: {}", done.error().message);
    });
    const Signal reopen(loop, SIGUSR1, [&] { (*plane)->reopenLogs(); });
    loop.run();
    admin.reset();
    return 0;
}

}  // namespace regrow::cli
