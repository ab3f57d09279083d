#include "proxy/recovery/hooks.h"

#include <optional>

#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "proxy/recovery/command_run.h"
#include "proxy/recovery/process_tree.h"

namespace regrow::recovery {
namespace {

using namespace std::chrono_literals;

constexpr Duration kKill = 5s;        // for the processes of a hook to be gone
constexpr Duration kKillNow = 500ms;  // the same where the loop has to wait for it

class Environment {
  public:
    void add(std::string_view name, std::string_view value) {
        if (!value.empty())
            entries_.push_back("REGROW_" + std::string(name) + "=" + std::string(value));
    }
    std::vector<std::string> take() { return std::move(entries_); }

  private:
    std::vector<std::string> entries_;
};

class HookRun final : public Operation {
  public:
    HookRun(EventLoop& loop, const std::string& step, const conf::Hook& hook,
            const HookContext& context, OnDone<std::string> on_done)
        : loop_(loop),
          what_(step + " hook " + (hook.argv.empty() ? "(empty)" : hook.argv[0])),
          token_("hook-" + toHex(secureRandomBytes(8))),
          timeout_(hook.timeout),
          on_done_(std::move(on_done)) {
        SpawnOptions options;
        options.argv = hook.argv;
        options.environment = hookEnvironment(step, context);
        options.environment.push_back("REGROW_SERVER_TOKEN=" + token_);
        options.line_limit = OutputTail::kBytes;
        // The deadline is ours, because the whole tree ends with it; the run's is only its
        // longstop.
        run_ = std::make_unique<CommandRun>(
            loop, std::move(options), timeout_ + 2 * kKill,
            [this](std::string_view line) { take(line); },
            [this](Result<ChildRun::Outcome> outcome) { ended(std::move(outcome)); });
        if (run_->pid() > 0) leader_ = identify(run_->pid()).value_or(ProcessId{});
        deadline_ = Timer(loop, [this] { overdue(); });
        deadline_.after(timeout_);
    }

    // Dropped while it runs: with all that it started.
    ~HookRun() override {
        if (!outcome_ && run_->pid() > 0) killTree(tree(), Duration::zero(), kKillNow);
    }

  private:
    TreeId tree() const { return {leader_, token_}; }

    void take(std::string_view line) {
        if (!line.empty()) last_line_ = line;
        output_.add(line);
    }

    void overdue() {
        kill_ = std::make_unique<TreeKill>(loop_, tree(), Duration::zero(), kKill,
                                           [this](const KillReport&) {
                                               killed_ = true;
                                               if (outcome_) finish();
                                           });
    }

    void ended(Result<ChildRun::Outcome> outcome) {
        deadline_.cancel();
        outcome_ = std::move(outcome);
        if (kill_ && *outcome_) (*outcome_)->status.timed_out = true;
        if (!kill_ || killed_) finish();
    }

    void logOutput() {
        if (output_.leftOut() > 0)
            log::info(what_, "({} bytes of output before this left out)", output_.leftOut());
        for (const auto& line : output_.lines()) log::info(what_, "{}", line);
    }

    void finish() {
        logOutput();
        auto callback = std::move(on_done_);
        if (auto checked = checkOutcome(*outcome_, what_, timeout_); !checked) {
            if (!last_line_.empty()) checked.error().message += ": " + last_line_;
            return callback(std::unexpected(std::move(checked).error()));
        }
        callback(std::move(last_line_));
    }

    EventLoop& loop_;
    std::string what_;
    std::string token_;
    Duration timeout_;
    OnDone<std::string> on_done_;
    std::string last_line_;
    OutputTail output_;
    std::unique_ptr<CommandRun> run_;
    std::optional<ProcessId> leader_;
    Timer deadline_;
    std::unique_ptr<TreeKill> kill_;
    bool killed_ = false;
    std::optional<Result<ChildRun::Outcome>> outcome_;
};

}  // namespace

std::vector<std::string> hookEnvironment(const std::string& step, const HookContext& context) {
    Environment environment;
    environment.add("STEP", step);
    environment.add("POOL", context.pool);
    environment.add("BACKEND", context.backend);
    environment.add("SERVER", context.server);
    environment.add("RECOVERY", context.recovery);
    if (context.epoch) environment.add("EPOCH", std::to_string(*context.epoch));
    environment.add("OLD_DATA", context.old_data);
    environment.add("OLD_ADDRESS", context.old_address);
    environment.add("DATA", context.data);
    environment.add("ADDRESS", context.address);
    environment.add("STAGING", context.staging);
    environment.add("SNAPSHOT", context.snapshot);
    if (context.snapshot_time) environment.add("SNAPSHOT_TIME", formatTime(*context.snapshot_time));
    environment.add("LINEAGE", context.lineage);
    environment.add("REASON", context.reason);
    environment.add("RESULT", context.result);
    return environment.take();
}

Handle runHook(EventLoop& loop, const std::string& step, const conf::Hook& hook,
               const HookContext& context, OnDone<std::string> on_done) {
    return std::make_unique<HookRun>(loop, step, hook, context, std::move(on_done));
}

}  // namespace regrow::recovery
