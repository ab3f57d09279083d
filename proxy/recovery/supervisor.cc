#include "proxy/recovery/supervisor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "base/random.h"
#include "base/text.h"
#include "proxy/recovery/address_owner.h"
#include "proxy/recovery/foreign_service.h"
#include "proxy/recovery/log_file.h"

namespace regrow::recovery {
namespace {

using Done = OnDone<std::string>;

// What we know of one server, between its first mention and forget().
struct Watched {
    ServerSpec spec;
    std::optional<ProcessId> process;  // the last leader; may have ended
    bool alive = false;
    UniqueFd pidfd;
    FdWatch exit_watch;

    OnDone<ProcessId> on_started;  // while a start is under way
    UniqueFd exec_status;
    FdWatch exec_watch;
    Timer exec_deadline;
    Handle starting;  // foreign

    std::unique_ptr<TreeKill> killing;
    Handle stopping;  // foreign
    std::vector<Done> waiting;
    bool ending() const { return killing || stopping; }
};

Result<std::string> instanceOf(const std::string& state_dir) {
    const std::string path = state_dir + "/instance";
    const auto known = readFile(path, 256);
    if (known && !known->empty()) return known;
    if (!known && known.error().code != Code::not_found) return known;
    std::string instance = toHex(secureRandomBytes(16));
    REGROW_CHECK(writeFileAtomic(path, instance));
    return instance;
}

Result<> checkDirectory(const ServerSpec& server) {
    const std::string& directory = server.service.directory;
    struct stat status{};
    if (directory.empty() || (::stat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode)))
        return {};
    return fail(
        Code::not_found, Source::config,
        fmt::format("service.directory of {} is not a directory: {}", server.key, directory));
}

std::vector<std::string> variablesOf(const ServerSpec& server, const std::string& token,
                                     uint64_t epoch) {
    std::vector<std::string> ours = {
        "REGROW_SERVER=" + server.key, "REGROW_SERVER_TOKEN=" + token,
        "REGROW_EPOCH=" + std::to_string(epoch), "REGROW_DATA=" + server.data,
        "REGROW_ADDRESS=" + (server.address.valid() ? server.address.text() : std::string())};
    // Programs differ in which of two equal names they believe, so there are none.
    for (const auto& entry : server.service.environment) {
        const auto name = entry.substr(0, entry.find('=') + 1);
        if (std::ranges::none_of(ours, [&](const auto& o) { return o.starts_with(name); }))
            ours.push_back(entry);
    }
    return ours;
}

}  // namespace

struct Supervisor::Impl : std::enable_shared_from_this<Impl> {
    EventLoop& loop;
    std::string state_dir;
    std::string instance;
    OnExit on_exit;
    Limits limits;
    std::map<std::string, std::unique_ptr<Watched>> servers;

    Impl(EventLoop& l, std::string dir, std::string id, OnExit exit, Limits bounds)
        : loop(l),
          state_dir(std::move(dir)),
          instance(std::move(id)),
          on_exit(std::move(exit)),
          limits(bounds) {}

    Watched* find(const std::string& key) {
        const auto found = servers.find(key);
        return found == servers.end() ? nullptr : found->second.get();
    }

    Watched& entry(const ServerSpec& server) {
        auto& watched = servers[server.key];
        if (!watched) watched = std::make_unique<Watched>();
        watched->spec = server;
        return *watched;
    }

    TreeId treeOf(const std::string& key) {
        const Watched* watched = find(key);
        return {watched ? watched->process : std::nullopt, instance + ":" + key};
    }

    std::string logOf(const ServerSpec& server) const {
        if (!server.service.log.empty()) return server.service.log;
        return state_dir + "/logs/" + server.key.substr(server.key.rfind('/') + 1) + ".log";
    }

    // Runs `task` in a later turn, unless the supervisor is gone by then.
    template <class Task>
    void later(Task task) {
        loop.post([weak = weak_from_this(), task = std::move(task)]() mutable {
            if (const auto self = weak.lock()) task(*self);
        });
    }

    template <class T>
    void answerLater(OnDone<T> callback, Result<T> result) {
        later([callback = std::move(callback), result = std::move(result)](Impl&) mutable {
            callback(std::move(result));
        });
    }

    void start(const ServerSpec& server, uint64_t epoch, Persist persist, OnDone<ProcessId> done) {
        if (const auto free = checkNotBusy(server.key); !free)
            return answerLater<ProcessId>(std::move(done), std::unexpected(free.error()));
        Watched& watched = entry(server);
        if (!server.service.supervised()) return startOther(watched, epoch, std::move(done));
        if (auto begun = startOurs(watched, epoch, persist); !begun)
            return answerLater<ProcessId>(std::move(done),
                                          std::unexpected(std::move(begun).error()));
        watched.on_started = std::move(done);
    }

    Result<> checkNotBusy(const std::string& key) {
        const Watched* watched = find(key);
        if (!watched) return {};
        if (watched->alive)
            return fail(Code::exists, Source::us,
                        fmt::format("{} runs already as pid {}", key, watched->process->pid));
        if (watched->ending())
            return fail(Code::unavailable, Source::us, key + " is being stopped");
        if (watched->on_started || watched->starting)
            return fail(Code::exists, Source::us, key + " is being started");
        return {};
    }

    Result<> startOurs(Watched& watched, uint64_t epoch, Persist& persist) {
        const ServerSpec& server = watched.spec;
        REGROW_CHECK(checkNobodyLeft(server.key));
        REGROW_CHECK(checkDirectory(server));
        if (const auto owner = whoListensOn(server.address))
            return fail(Code::exists, Source::config,
                        fmt::format("{} cannot start: {} is already taken by {}", server.key,
                                    server.address.text(), *owner));
        SpawnOptions options;
        options.argv = server.service.run;
        options.environment = variablesOf(server, treeOf(server.key).token, epoch);
        options.directory = server.service.directory;
        options.user = server.service.user;
        options.new_session = true;
        options.gated = true;
        options.output = logOf(server);
        REGROW_CHECK(prepareLog(options.output));
        REGROW_TRY(ChildProcess child, spawn(options));
        const auto id = identify(child.pid);
        // Leaving before release() closes the gate, and the child exits unexecuted.
        if (!id) return discard(child, "its process ended before it was released");
        if (const auto kept = persist(*id); !kept) return discard(child, kept.error().message);
        child.release();
        watched.exec_status = std::move(child.exec_status);
        watched.exec_watch = FdWatch(loop, watched.exec_status.get(), EV_READ,
                                     [this, key = server.key](short) { executed(key); });
        watched.exec_deadline = Timer(loop, [this, key = server.key] { neverExecuted(key); });
        watched.exec_deadline.after(limits.executes);
        watch(watched, *id, std::move(child.pidfd));
        return {};
    }

    Result<> checkNobodyLeft(const std::string& key) {
        ProcessTree tree(treeOf(key));
        const auto& left = tree.scan();
        if (left.empty()) return {};
        std::vector<std::string> names;
        names.reserve(left.size());
        for (const auto& process : left) names.push_back(process.text());
        return fail(Code::refused, Source::us,
                    fmt::format("{} cannot start: processes of an earlier run are still there: {}",
                                key, fmt::join(names, ", ")));
    }

    static Result<> discard(ChildProcess& child, const std::string& why) {
        child.gate.reset();
        ::kill(child.pid, SIGKILL);
        ::waitpid(child.pid, nullptr, 0);  // it has executed nothing that could delay this
        return fail(Code::io, Source::disk, "not started: " + why);
    }

    void watch(Watched& watched, const ProcessId& id, UniqueFd pidfd) {
        watched.process = id;
        watched.alive = true;
        watched.pidfd = std::move(pidfd);
        watched.exit_watch = FdWatch(loop, watched.pidfd.get(), EV_READ,
                                     [this, key = watched.spec.key](short) { ended(key); });
    }

    // The exec-status pipe has something to say: an errno, or by its end that all is well.
    void executed(const std::string& key) {
        Watched* watched = find(key);
        if (!watched || !watched->exec_status) return;
        int error = 0;
        const ssize_t n = ::read(watched->exec_status.get(), &error, sizeof error);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n == 0) return endStart(*watched, *watched->process);
        // It exits with 127 now: that exit is part of this answer, not news.
        dropProcess(*watched);
        const auto& program = watched->spec.service.run[0];
        endStart(*watched, failErrno(error, fmt::format("{} cannot start: {}", key, program),
                                     Source::config));
    }

    void neverExecuted(const std::string& key) {
        Watched* watched = find(key);
        if (!watched || !watched->on_started) return;
        endStart(*watched, fail(Code::timeout, Source::us,
                                fmt::format("{} did not begin to execute within {}", key,
                                            humanDuration(limits.executes))));
    }

    static void dropProcess(Watched& watched) {
        ::waitpid(watched.process->pid, nullptr,
                  0);  // between its last write and its exit there is nothing to wait for
        watched.exit_watch.cancel();
        watched.pidfd.reset();
        watched.alive = false;
        watched.process.reset();
    }

    void endStart(Watched& watched, Result<ProcessId> result) {
        watched.exec_watch.cancel();
        watched.exec_deadline.cancel();
        watched.exec_status.reset();
        if (!watched.on_started) return;
        auto callback = std::exchange(watched.on_started, nullptr);
        callback(std::move(result));  // may change everything
    }

    void startOther(Watched& watched, uint64_t epoch, OnDone<ProcessId> done) {
        const std::string key = watched.spec.key;
        if (!watched.spec.service.foreign())
            return answerLater<ProcessId>(
                std::move(done),
                fail(Code::refused, Source::config,
                     key + " has neither service.run nor service.start: nobody here can start it"));
        watched.on_started = std::move(done);
        watched.starting = startForeign(
            loop, foreign(watched.spec, epoch),
            [this, key](Result<std::string> result) { startedOther(key, std::move(result)); });
    }

    void startedOther(const std::string& key, Result<std::string> result) {
        Watched* watched = find(key);
        const Handle keep = std::move(watched->starting);
        if (!result) return endStart(*watched, std::unexpected(std::move(result).error()));
        endStart(*watched, ProcessId{});
    }

    ForeignService foreign(const ServerSpec& server, uint64_t epoch) {
        ForeignService service;
        service.server = server.key;
        service.service = server.service;
        service.environment = variablesOf(server, treeOf(server.key).token, epoch);
        // Only what we start ourselves carries the token: what a foreign supervisor keeps alive is
        // not ours to kill.
        std::erase_if(service.environment,
                      [](const auto& e) { return e.starts_with("REGROW_SERVER_TOKEN="); });
        service.log = logOf(server);
        service.action_deadline = limits.action;
        service.settle = limits.settle;
        service.every = limits.status_every;
        return service;
    }

    bool adopt(const ServerSpec& server, const ProcessId& id) {
        Watched& watched = entry(server);
        watched.process = id;
        auto pidfd = regrow::adopt(id);
        if (!pidfd) return false;
        watch(watched, id, std::move(*pidfd));
        return true;
    }

    void ended(const std::string& key) {
        Watched* watched = find(key);
        if (!watched || !watched->alive) return;
        if (watched->exec_status) executed(key);  // first what became of the start
        watched = find(key);
        if (!watched || !watched->alive) return;
        watched->exit_watch.cancel();
        watched->alive = false;
        watched->pidfd.reset();
        const ProcessId process = *watched->process;
        const auto status = reap(process.pid);
        if (on_exit) on_exit(key, process, status, recovery::logTail(logOf(watched->spec), 2048));
    }

    void stop(const ServerSpec& server, Duration grace, Done done) {
        Watched& watched = entry(server);
        watched.waiting.push_back(std::move(done));
        cancelStart(watched);
        if (watched.ending()) {
            if (grace == Duration::zero() && watched.killing) watched.killing->killNow();
            return;
        }
        const std::string key = server.key;
        if (server.service.supervised()) {
            watched.killing = std::make_unique<TreeKill>(
                loop, treeOf(key), grace, limits.kill,
                [this, key](const KillReport& report) { killed(key, report); });
        } else if (!server.service.stop.empty() || !server.service.status.empty()) {
            watched.stopping =
                stopForeign(loop, foreign(server, 0),
                            [this, key](Result<std::string> result) { finish(key, result); });
        } else {
            later([key](Impl& self) {
                self.finish(key, fail(Code::unavailable, Source::config,
                                      key + " has no service.run, stop or status: nobody here can "
                                            "stop it or say whether it runs"));
            });
        }
    }

    void cancelStart(Watched& watched) {
        watched.starting.reset();
        watched.exec_watch.cancel();
        watched.exec_deadline.cancel();
        watched.exec_status.reset();
        if (watched.on_started)
            answerLater<ProcessId>(std::exchange(watched.on_started, nullptr),
                                   fail(Code::cancelled, Source::us,
                                        watched.spec.key + " was stopped while it started"));
    }

    void killed(const std::string& key, const KillReport& report) {
        if (!report.empty())
            return finish(key, fail(Code::timeout, Source::us, key + ": " + report.text()));
        ended(key);  // its exit is told before the end of the kill, whatever the loop saw first
        finish(key, report.text());
    }

    void finish(const std::string& key, const Result<std::string>& result) {
        Watched* watched = find(key);
        if (!watched) return;
        const auto keep_kill = std::move(watched->killing);  // we are in its callback
        const auto keep_stop = std::move(watched->stopping);
        auto waiting = std::move(watched->waiting);
        watched->waiting.clear();
        for (auto& done : waiting) done(result);  // may change everything
    }

    void forget(const std::string& key) {
        Watched* watched = find(key);
        if (!watched) return;
        cancelStart(*watched);
        for (auto& done : watched->waiting)
            answerLater<std::string>(std::move(done),
                                     fail(Code::cancelled, Source::us, key + " is no longer ours"));
        // Destroyed in a later turn: we may be inside one of its callbacks.
        later([gone = std::move(servers[key])](Impl&) {});
        servers.erase(key);
    }
};

Result<std::unique_ptr<Supervisor>> Supervisor::create(EventLoop& loop, std::string state_dir,
                                                       OnExit on_exit, Limits limits) {
    REGROW_TRY(std::string instance, instanceOf(state_dir));
    return std::unique_ptr<Supervisor>(new Supervisor(std::make_shared<Impl>(
        loop, std::move(state_dir), std::move(instance), std::move(on_exit), limits)));
}

Supervisor::Supervisor(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Supervisor::~Supervisor() = default;

void Supervisor::start(const ServerSpec& server, uint64_t epoch, Persist persist,
                       OnDone<ProcessId> on_result) {
    impl_->start(server, epoch, std::move(persist), std::move(on_result));
}

bool Supervisor::adopt(const ServerSpec& server, const ProcessId& process) {
    return impl_->adopt(server, process);
}

void Supervisor::stop(const ServerSpec& server, Duration grace, OnDone<std::string> on_done) {
    impl_->stop(server, grace, std::move(on_done));
}

void Supervisor::kill(const ServerSpec& server, OnDone<std::string> on_done) {
    impl_->stop(server, Duration::zero(), std::move(on_done));
}

void Supervisor::forget(const std::string& server) {
    impl_->forget(server);
}

bool Supervisor::running(const std::string& server) const {
    const Watched* watched = impl_->find(server);
    return watched && watched->alive;
}

std::optional<ProcessId> Supervisor::process(const std::string& server) const {
    const Watched* watched = impl_->find(server);
    return watched ? watched->process : std::nullopt;
}

std::string Supervisor::logPath(const ServerSpec& server) const {
    return impl_->logOf(server);
}

std::string Supervisor::logTail(const ServerSpec& server, size_t bytes) const {
    return recovery::logTail(impl_->logOf(server), bytes);
}

TreeId Supervisor::tree(const std::string& server) const {
    return impl_->treeOf(server);
}

}  // namespace regrow::recovery
