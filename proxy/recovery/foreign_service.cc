#include "proxy/recovery/foreign_service.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>

#include "base/text.h"
#include "proxy/recovery/command_run.h"
#include "proxy/recovery/log_file.h"

namespace regrow::recovery {
namespace {

enum class Truth { running, not_running, unknown };

Truth truthOf(const Result<ChildRun::Outcome>& outcome) {
    if (!outcome || !outcome->status.exited || outcome->status.timed_out) return Truth::unknown;
    const int code = outcome->status.code;
    return code == 0 ? Truth::running : code <= 3 ? Truth::not_running : Truth::unknown;
}

SpawnOptions optionsOf(const ForeignService& service, const conf::Argv& argv) {
    SpawnOptions options;
    options.argv = argv;
    options.environment = service.environment;
    options.directory = service.service.directory;
    options.user = service.service.user;
    return options;
}

// An action whose offspring is meant to stay: no pipes to it, and its group is left alone when it
// ends well.
class StartAction final : public Operation {
  public:
    StartAction(EventLoop& loop, const ForeignService& service, OnDone<void> on_done)
        : what_(fmt::format("starting {} with '{}'", service.server,
                            fmt::join(service.service.start, " "))),
          log_(service.log),
          deadline_(service.action_deadline),
          on_done_(std::move(on_done)) {
        if (auto begun = begin(loop, service); !begun) failLater(loop, std::move(begun).error());
    }
    ~StartAction() override { killGroup(); }

  private:
    Result<> begin(EventLoop& loop, const ForeignService& service) {
        REGROW_CHECK(prepareLog(log_));
        log_from_ = logSize(log_);
        auto options = optionsOf(service, service.service.start);
        options.new_session = true;
        options.output = log_;
        REGROW_TRY(child_, spawn(options));
        exit_ = FdWatch(loop, child_.pidfd.get(), EV_READ, [this](short) { finish(); });
        timer_ = Timer(loop, [this] {
            timed_out_ = true;
            killGroup();
        });
        timer_.after(deadline_);
        return {};
    }

    void failLater(EventLoop& loop, Error error) {
        timer_ = Timer(loop, [this, error = std::move(error).in(what_)]() mutable {
            auto callback = std::move(on_done_);
            callback(std::unexpected(std::move(error)));
        });
        timer_.after(Duration::zero());
    }

    void killGroup() const {
        if (child_.pid > 0) ::kill(-child_.pid, SIGKILL);
    }

    void finish() {
        const auto status = reap(child_.pid);
        if (!status) return;
        ChildRun::Outcome outcome{*status, logTail(log_, 400, log_from_)};
        outcome.status.timed_out = timed_out_;
        if (!outcome.status.ok()) killGroup();
        child_.pid = 0;
        exit_.cancel();
        timer_.cancel();
        auto callback = std::move(on_done_);
        callback(checkOutcome(outcome, what_, deadline_));  // may destroy *this
    }

    std::string what_;
    std::string log_;
    uint64_t log_from_ = 0;
    Duration deadline_;
    OnDone<void> on_done_;
    ChildProcess child_;
    FdWatch exit_;
    Timer timer_;
    bool timed_out_ = false;
};

// One action and then the question, until the answer is the wanted one.
class Change : public Operation {
  public:
    Change(EventLoop& loop, ForeignService service, Truth wanted, OnDone<std::string> on_done)
        : loop_(loop),
          service_(std::move(service)),
          wanted_(wanted),
          on_done_(std::move(on_done)),
          again_(loop, [this] { ask(); }) {}

    void start() {
        step_ = std::make_unique<StartAction>(
            loop_, service_, [this](Result<> result) { acted(std::move(result)); });
    }

    void stop() {
        if (service_.service.stop.empty()) return again_.after(Duration::zero());
        const std::string what = fmt::format("stopping {} with '{}'", service_.server,
                                             fmt::join(service_.service.stop, " "));
        step_ = std::make_unique<CommandRun>(
            loop_, optionsOf(service_, service_.service.stop), service_.action_deadline, nullptr,
            [this, what](const auto& outcome) {
                acted(checkOutcome(outcome, what, service_.action_deadline));
            });
    }

  private:
    void acted(Result<> result) {
        action_ = std::move(result);
        if (service_.service.status.empty()) return endWithoutStatus();
        // An action that failed is asked about once: a start may fail because it runs already.
        settled_by_ = loop_.now() + (action_ || wanted_ == Truth::not_running ? service_.settle
                                                                              : Duration::zero());
        ask();
    }

    void endWithoutStatus() {
        if (wanted_ == Truth::running) {
            if (!action_) return end(std::unexpected(action_.error()));
            return end("started; there is no status action to ask whether it runs");
        }
        end(fail(Code::unavailable, Source::config,
                 fmt::format("{} has no status action: {}, and that proves nothing. Add "
                             "service.status (exit 0 = running)",
                             service_.server,
                             action_ ? "its stop action succeeded" : action_.error().message)));
    }

    void ask() {
        if (service_.service.status.empty()) return endWithoutStatus();
        if (settled_by_ == Instant{}) settled_by_ = loop_.now() + service_.settle;
        step_ = std::make_unique<CommandRun>(loop_, optionsOf(service_, service_.service.status),
                                             service_.action_deadline, nullptr,
                                             [this](const auto& outcome) { answered(outcome); });
    }

    void answered(const Result<ChildRun::Outcome>& outcome) {
        const Truth truth = truthOf(outcome);
        if (truth == wanted_)
            return end(fmt::format("its status action says {}",
                                   wanted_ == Truth::running ? "running" : "not running"));
        if (loop_.now() < settled_by_) return again_.after(service_.every);
        end(giveUp(truth, outcome));
    }

    std::unexpected<Error> giveUp(Truth truth, const Result<ChildRun::Outcome>& outcome) {
        const std::string did =
            action_ ? (wanted_ == Truth::running ? "it was started" : "it was stopped")
                    : action_.error().message;
        if (truth != Truth::unknown)
            return fail(Code::unavailable, Source::us,
                        fmt::format("{}: {}, but its status action says {}", service_.server, did,
                                    truth == Truth::running ? "running" : "not running"));
        const auto why =
            checkOutcome(outcome, fmt::format("'{}'", fmt::join(service_.service.status, " ")),
                         service_.action_deadline);
        return fail(Code::unavailable, Source::us,
                    fmt::format("{}: {}, and nobody knows whether it runs: {}", service_.server,
                                did, why.error().message));
    }

    void end(Result<std::string> result) {
        auto callback = std::move(on_done_);
        callback(std::move(result));  // may destroy *this
    }

    EventLoop& loop_;
    ForeignService service_;
    Truth wanted_;
    OnDone<std::string> on_done_;
    Result<> action_;
    Instant settled_by_{};
    Handle step_;
    Timer again_;
};

}  // namespace

Handle startForeign(EventLoop& loop, ForeignService service, OnDone<std::string> on_done) {
    auto change =
        std::make_unique<Change>(loop, std::move(service), Truth::running, std::move(on_done));
    change->start();
    return change;
}

Handle stopForeign(EventLoop& loop, ForeignService service, OnDone<std::string> on_done) {
    auto change =
        std::make_unique<Change>(loop, std::move(service), Truth::not_running, std::move(on_done));
    change->stop();
    return change;
}

}  // namespace regrow::recovery
