#include "proxy/recovery/hooks.h"

#include "base/log.h"
#include "base/text.h"
#include "proxy/recovery/command_run.h"

namespace regrow::recovery {
namespace {

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
        : what_(step + " hook " + (hook.argv.empty() ? "(empty)" : hook.argv[0])),
          on_done_(std::move(on_done)) {
        SpawnOptions options;
        options.argv = hook.argv;
        options.environment = hookEnvironment(step, context);
        run_ = std::make_unique<CommandRun>(
            loop, std::move(options), hook.timeout, [this](std::string_view line) { take(line); },
            [this, timeout = hook.timeout](const auto& outcome) { finish(outcome, timeout); });
    }

  private:
    void take(std::string_view line) {
        if (!line.empty()) last_line_ = line.substr(0, 4096);
        log::info(what_, "{}", line);
    }

    void finish(const Result<ChildRun::Outcome>& outcome, Duration timeout) {
        auto callback = std::move(on_done_);
        if (auto checked = checkOutcome(outcome, what_, timeout); !checked) {
            if (!last_line_.empty()) checked.error().message += ": " + last_line_;
            return callback(std::unexpected(std::move(checked).error()));
        }
        callback(std::move(last_line_));
    }

    std::string what_;
    OnDone<std::string> on_done_;
    std::string last_line_;
    std::unique_ptr<CommandRun> run_;
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
