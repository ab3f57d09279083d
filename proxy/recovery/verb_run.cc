#include "proxy/recovery/verb_run.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "proxy/recovery/command_run.h"

namespace regrow::recovery {
namespace {

// A listing is one line: a year of snapshots is some tens of MiB.
constexpr size_t kLineLimit = size_t{256} << 20;
constexpr int kBackgroundNice = 10;

// Best effort at its lowest, not idle: idle waits forever on a busy disk, and backups with it.
void lowerPriority(pid_t pid) {
    constexpr int kWhoProcess = 1;
    constexpr int kBestEffortLowest = (2 << 13) | 7;
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(pid), kBackgroundNice);
    ::syscall(SYS_ioprio_set, kWhoProcess, pid, kBestEffortLowest);
}

Code codeOf(std::string_view text) {
    for (int i = 0; i <= static_cast<int>(Code::internal); ++i)
        if (name(static_cast<Code>(i)) == text) return static_cast<Code>(i);
    return Code::internal;
}

Source sourceOf(std::string_view text) {
    for (int i = 0; i <= static_cast<int>(Source::us); ++i)
        if (name(static_cast<Source>(i)) == text) return static_cast<Source>(i);
    return Source::us;
}

Progress progressFromJson(const rapidjson::Value& line) {
    return {json::getString(line, "phase").value_or(""),
            json::getUint(line, "done_bytes").value_or(0),
            json::getUint(line, "total_bytes").value_or(0),
            json::getUint(line, "done_files").value_or(0),
            json::getUint(line, "total_files").value_or(0)};
}

class VerbRun final : public Operation {
  public:
    VerbRun(EventLoop& loop, VerbCommand command, OnProgress on_progress, OnDocument on_done)
        : what_(std::move(command.what)),
          silence_(command.silence),
          on_progress_(std::move(on_progress)),
          on_done_(std::move(on_done)) {
        SpawnOptions options;
        options.argv = std::move(command.argv);
        options.line_limit = kLineLimit;
        run_ = std::make_unique<CommandRun>(
            loop, std::move(options), silence_, [this](std::string_view line) { take(line); },
            [this](const auto& outcome) { finish(outcome); });
        if (command.background && run_->pid() != 0) lowerPriority(run_->pid());
    }

  private:
    void take(std::string_view text) {
        auto line = json::parse(text);
        if (!line || !line->IsObject()) {
            noise_ = text.substr(0, 200);
            return;
        }
        const auto type = json::getString(*line, "type").value_or("result");
        if (type == "progress")
            advance(progressFromJson(*line));
        else if (type == "error")
            error_ = errorFromJson(*line);
        else if (type == "result")
            result_ = std::move(*line);
    }

    // Only progress that moves counts: a line that says the same again may come from a loop gone
    // wrong.
    void advance(const Progress& progress) {
        if (progress == last_) return;
        last_ = progress;
        run_->extend(silence_);
        if (on_progress_) on_progress_(progress);
    }

    void finish(const Result<ChildRun::Outcome>& outcome) {
        auto callback = std::move(on_done_);
        callback(resultOf(outcome));  // may destroy *this
    }

    Result<rapidjson::Document> resultOf(const Result<ChildRun::Outcome>& outcome) {
        if (!outcome) return std::unexpected(Error(outcome.error()).in(what_));
        const ExitStatus& status = outcome->status;
        if (status.timed_out)
            return fail(Code::timeout, Source::us,
                        fmt::format("{} made no progress for {} and was killed", what_,
                                    humanDuration(silence_)));
        if (status.ok() && result_) return std::move(*result_);
        if (error_ && !status.ok()) return std::unexpected(std::move(*error_).in(what_));
        return std::unexpected(unexplained(*outcome));
    }

    // It broke the protocol: crashed, was killed, was another version, or wrote no result.
    Error unexplained(const ChildRun::Outcome& outcome) const {
        const ExitStatus& status = outcome.status;
        const bool refused = status.exited && status.code == 3;
        std::string said = lastLines(outcome.stderr_tail);
        if (said.empty() && !noise_.empty()) said = "it said '" + noise_ + "'";
        if (said.empty()) said = "it said nothing of what happened";
        const std::string ended =
            status.ok() ? "ended without a result" : "ended with " + status.text();
        // A child that was killed (by memory shortage, by a person) may well succeed the next time.
        return {refused ? Code::refused : Code::internal, Source::us, !status.exited,
                fmt::format("{} {}: {}", what_, ended, said)};
    }

    std::string what_;
    Duration silence_;
    OnProgress on_progress_;
    OnDocument on_done_;
    std::optional<rapidjson::Document> result_;
    std::optional<Error> error_;
    std::string noise_;  // the last line that was no JSON object
    Progress last_;
    std::unique_ptr<CommandRun> run_;
};

}  // namespace

Error errorFromJson(const rapidjson::Value& line) {
    Error error;
    error.code = codeOf(json::getString(line, "code").value_or(""));
    error.source = sourceOf(json::getString(line, "source").value_or(""));
    error.retryable = json::getBool(line, "retryable").value_or(false);
    error.message = json::getString(line, "message").value_or("no reason given");
    return error;
}

Handle runVerb(EventLoop& loop, VerbCommand command, OnProgress on_progress, OnDocument on_done) {
    return std::make_unique<VerbRun>(loop, std::move(command), std::move(on_progress),
                                     std::move(on_done));
}

}  // namespace regrow::recovery
