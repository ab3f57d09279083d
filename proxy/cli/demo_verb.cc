#include "proxy/cli/demo_verb.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "proxy/cli/demo_client.h"
#include "proxy/cli/demo_faults.h"
#include "proxy/cli/demo_report.h"
#include "proxy/cli/demo_watch.h"
#include "proxy/cli/demo_world.h"
#include "proxy/cli/output.h"

namespace regrow::cli {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReady = 30s;
constexpr Duration kTraffic = 5s;    // of ordinary life before anything goes wrong
constexpr Duration kRecovery = 90s;  // by then it is over, or has failed
constexpr size_t kFlaps = 10;

std::atomic<bool> interrupted{false};  // set by a signal handler, which may touch nothing else
bool wasInterrupted() {
    return interrupted;
}

// The run of one scenario, step by step; every step can be interrupted.
class Demo {
  public:
    explicit Demo(const DemoOptions& options) : options_(options), watch_(options.admin) {}
    Result<DemoReport> run(DemoWorld& world);

  private:
    Result<> prepare(DemoWorld& world);
    Result<> waitSnapshots();
    Result<> strike(DemoWorld& world);
    Result<> damageNewest(DemoWorld& world);
    Result<> flap();
    Result<> waitRecovered(DemoWorld& world);
    Result<> waitFlappingEnd(DemoWorld& world);
    Result<> readBack(DemoReport& report);
    Result<> killOnce();
    void showNews();
    void say(const std::string& text) const;
    Result<> pause(Duration duration);

    const DemoOptions& options_;
    DemoWatch watch_;
    std::optional<DemoClient> client_;
    DemoFault fault_;
    std::string damaged_;  // the newest snapshot, when its pack was damaged
    WallTime damaged_captured_{};
    WallTime first_news_{};
    bool recovered_ = false;
};

void Demo::say(const std::string& text) const {
    if (!options_.json) fmt::print("{}\n", text), std::fflush(stdout);
}

void Demo::showNews() {
    const auto news = watch_.news();
    if (!news) return;
    for (const auto& event : *news) {
        const bool after = fault_.wall != WallTime{} && event.time >= fault_.wall;
        if (after && first_news_ == WallTime{} && event.kind != "backup") first_news_ = event.time;
        const auto since =
            std::chrono::duration<double, std::milli>(event.time - fault_.wall).count();
        say(after ? fmt::format("  {:>+8.0f} ms  {:<9} {}", since, event.kind, event.text)
                  : fmt::format("               {:<9} {}", event.kind, event.text));
    }
}

Result<> Demo::pause(Duration duration) {
    for (const Instant until = Mono::now() + duration; Mono::now() < until;
         std::this_thread::sleep_for(20ms)) {
        if (interrupted) return fail(Code::cancelled, Source::us, "interrupted");
        showNews();
    }
    return {};
}

Result<> Demo::prepare(DemoWorld& world) {
    say(fmt::format(
        "regrow demo, scenario {}: a calendar server (Radicale), its spare, and a proxy in front",
        options_.scenario));
    say(fmt::format("  configuration {}   (in use now; when the demo has ended it is yours)",
                    world.configFile()));
    say(fmt::format("  service       http://{}/     dashboard http://{}/\n", options_.listen,
                    options_.admin));
    const auto ready = watch_.waitReady(kReady, wasInterrupted);
    if (!ready && !world.running())
        return fail(Code::io, Source::us, "the proxy ended; its log is " + world.logFile());
    REGROW_CHECK(ready);
    client_.emplace(options_.listen);
    REGROW_CHECK(client_->open(kReady, wasInterrupted));
    client_->begin();
    REGROW_CHECK(pause(kTraffic));
    return waitSnapshots();
}

Result<> Demo::waitSnapshots() {
    for (const Instant until = Mono::now() + kReady; Mono::now() < until;) {
        REGROW_TRY(const auto proven, watch_.provenSnapshot());
        if (proven) return {};
        REGROW_CHECK(pause(100ms));
    }
    return fail(Code::timeout, Source::us, "no proven snapshot in time; see the log");
}

Result<> Demo::killOnce() {
    REGROW_TRY(const long pid, watch_.pid());
    return killServer(pid);
}

// Right after a capture, so that none is under way that would be newer than what is damaged.
Result<> Demo::damageNewest(DemoWorld& world) {
    REGROW_TRY(const auto before, watch_.provenSnapshot());
    for (const Instant until = Mono::now() + kReady; Mono::now() < until;) {
        REGROW_TRY(const auto newest, watch_.provenSnapshot());
        if (!newest || newest == before) {
            REGROW_CHECK(pause(20ms));
            continue;
        }
        REGROW_TRY(const auto pack, damageNewestPack(world.repository()));
        damaged_ = *newest;
        REGROW_TRY(const auto captured, watch_.captured(damaged_));
        damaged_captured_ = captured.value_or(Wall::now());
        say(fmt::format("\n*** the newest pack of the backup, {}, of snapshot {}, is damaged",
                        pack.substr(0, 12), damaged_.substr(0, 12)));
        return {};
    }
    return fail(Code::timeout, Source::us, "no further snapshot in time; see the log");
}

Result<> Demo::strike(DemoWorld& world) {
    if (options_.scenario == "corrupt-backup") REGROW_CHECK(damageNewest(world));
    REGROW_TRY(const long pid, watch_.pid());
    showNews();
    const bool hang = options_.scenario == "hang";
    const bool lose = options_.scenario == "host-loss" || options_.scenario == "corrupt-backup";
    fault_ = {{Mono::now()}, Wall::now()};
    REGROW_CHECK(hang ? hangServer(pid) : killServer(pid));
    if (lose) REGROW_CHECK(wipeData(world.dataOf("calendar-1")));
    say(fmt::format("\n*** the server (process group {}) {}{}\n", pid,
                    hang ? "is stopped: it accepts and never answers" : "is killed with SIGKILL",
                    lose ? " and its data directory is wiped" : ""));
    return {};
}

// Dies whenever it has come back, at most once a second, until it is held down. Never while it is
// still starting: that would be a spare that cannot start, which is another story.
Result<> Demo::flap() {
    fault_.wall = Wall::now();
    say("\n*** the server is killed, and killed again whenever it is back\n");
    for (const Instant until = Mono::now() + kRecovery;
         Mono::now() < until && fault_.at.size() < kFlaps;) {
        REGROW_TRY(const auto state, watch_.underWay());
        if (state.starts_with("held")) return {};
        const Instant now = Mono::now();
        const bool back = watch_.waitReady(0s, wasInterrupted).has_value();
        if (back && killOnce()) fault_.at.push_back(now);
        REGROW_CHECK(pause(1s));
    }
    return {};
}

Result<> Demo::waitRecovered(DemoWorld& world) {
    for (const Instant until = Mono::now() + kRecovery; Mono::now() < until;) {
        REGROW_CHECK(pause(100ms));
        if (!world.running())
            return fail(Code::io, Source::us, "the proxy ended; its log is " + world.logFile());
        const auto past = watch_.recoveries();
        if (!past || past->empty()) continue;
        recovered_ = past->back().result == "done";
        return {};
    }
    return fail(Code::timeout, Source::us, "the recovery did not end in time; see the log");
}

// Held down is the right end of flapping; then the demo is the operator who has mended the cause
// and says: go on.
Result<> Demo::waitFlappingEnd(DemoWorld& world) {
    size_t done = 0;
    bool held = false;
    for (const Instant until = Mono::now() + kRecovery; Mono::now() < until;) {
        REGROW_CHECK(pause(200ms));
        if (!world.running())
            return fail(Code::io, Source::us, "the proxy ended; its log is " + world.logFile());
        REGROW_TRY(const auto state, watch_.underWay());
        REGROW_TRY(const auto past, watch_.recoveries());
        if (!held)
            done = static_cast<size_t>(std::ranges::count(past, "done", &DemoRecovery::result));
        if (state.starts_with("held") && !held) {
            held = true;
            say(fmt::format("\n*** held down after {}; the operator says: go on\n",
                            done == 1 ? "1 recovery" : fmt::format("{} recoveries", done)));
            REGROW_CHECK(watch_.approve());
        }
        const auto ready = watch_.waitReady(0s, wasInterrupted);
        if (state.empty() && ready) {
            recovered_ = held && done == 1;
            return {};
        }
    }
    return fail(Code::timeout, Source::us, "the backend did not come back in time; see the log");
}

Result<> Demo::readBack(DemoReport& report) {
    const auto visits = client_->visits();
    std::vector<int> present;
    for (const auto& visit : visits) {
        if (!visit.write || !visit.good()) continue;
        if (interrupted) return fail(Code::cancelled, Source::us, "interrupted");
        REGROW_TRY(const bool there, client_->check(visit.item));
        if (there) present.push_back(visit.item);
    }
    std::ranges::sort(present);
    REGROW_TRY(const auto past, watch_.recoveries());
    std::optional<WallTime> restored_from;
    for (const auto& recovery : past) {
        if (recovery.result != "done" || recovery.snapshot.empty()) continue;
        restored_from = std::min(restored_from.value_or(WallTime::max()), recovery.snapshot_time);
        report.snapshot = recovery.snapshot;
        report.restored_bytes = recovery.restored_bytes;
        report.restore_ms = recovery.restore_ms;
        // With its pack damaged the newest snapshot cannot be what is served now.
        if (!damaged_.empty() &&
            (recovery.snapshot == damaged_ || recovery.snapshot_time >= damaged_captured_))
            report.recovered = false;
    }
    countVisits(report, visits, fault_);
    countLoss(report, visits, present, restored_from, fault_);
    return {};
}

Result<DemoReport> Demo::run(DemoWorld& world) {
    REGROW_CHECK(prepare(world));
    const bool flapping = options_.scenario == "flap";
    REGROW_CHECK(flapping ? flap() : strike(world));
    REGROW_CHECK(flapping ? waitFlappingEnd(world) : waitRecovered(world));
    REGROW_CHECK(pause(2s));
    client_->stop();
    showNews();
    DemoReport report;
    report.scenario = options_.scenario;
    report.recovered = recovered_;
    REGROW_TRY(report.held, watch_.held());
    if (first_news_ != WallTime{})
        report.detected_ms =
            std::chrono::duration<double, std::milli>(first_news_ - fault_.wall).count();
    REGROW_CHECK(readBack(report));
    return report;
}

void waitForPerson(const DemoWorld& world, const DemoOptions& options) {
    fmt::print(
        "\nIt goes on running: http://{}/ is the service, http://{}/ the dashboard. Everything is "
        "under {}.\n"
        "Ctrl-C ends it.\n",
        options.listen, options.admin, world.directory());
    std::fflush(stdout);
    while (!interrupted && world.running()) std::this_thread::sleep_for(100ms);
}

// What to type to go on from what is left.
std::string ourselves() {
    std::error_code error;
    const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
    return error ? "regrow" : path.string();
}

void tellWhatIsLeft(const DemoWorld& world) {
    fmt::print(
        "Every process has ended. The data, its backups and the configuration are left, to go on "
        "from:\n"
        "  {} run -c {}\n"
        "  rm -r {}   removes them\n",
        ourselves(), world.configFile(), world.directory());
}

int runDemo(const DemoOptions& options) {
    if (const auto usable = checkDemoAddresses(options); !usable)
        return fmt::print(stderr, "regrow: {}\n", usable.error().message), kExitUsage;
    for (const int number : {SIGINT, SIGTERM, SIGHUP})
        std::signal(number, [](int) { interrupted = true; });
    auto world = DemoWorld::start(options);
    if (!world) return fmt::print(stderr, "regrow: {}\n", world.error().message), 1;
    Demo demo(options);
    auto report = demo.run(*world);
    if (report) report->configuration = world->configFile();
    if (report)
        fmt::print("{}\n", options.json ? reportJson(*report) : reportText(*report));
    else
        fmt::print(stderr, "regrow: {}\n", report.error().message);
    std::fflush(stdout);
    if (report && options.keep && !interrupted) waitForPerson(*world, options);
    world->end();
    if (!report && report.error().code != Code::cancelled)
        fmt::print(stderr, "regrow: its files are left for a look; the proxy's log is {}\n",
                   world->logFile());
    if (!options.json) tellWhatIsLeft(*world);
    return report && report->ok() ? 0 : 1;
}

}  // namespace

void addDemoVerb(CLI::App& app, int& exit_code) {
    auto options = std::make_shared<DemoOptions>();
    auto* const verb = app.add_subcommand(
        "demo", "The main job on this machine: a real backend dies and is regrown from its backup");
    verb->add_option("--scenario", options->scenario, "What goes wrong")
        ->check(CLI::IsMember({"crash", "host-loss", "hang", "flap", "corrupt-backup"}))
        ->capture_default_str();
    verb->add_option("--app", options->app, "The backend")
        ->check(CLI::IsMember({"radicale"}))
        ->capture_default_str();
    verb->add_option("--listen", options->listen, "Where the proxy serves")->capture_default_str();
    verb->add_option("--admin", options->admin, "Where the dashboard and /stats are")
        ->capture_default_str();
    verb->add_flag("--keep", options->keep, "Leave everything running until Ctrl-C");
    verb->add_flag("--json", options->json, "One line of JSON at the end, nothing else");
    verb->callback([options, &exit_code] { exit_code = runDemo(*options); });
}

}  // namespace regrow::cli
