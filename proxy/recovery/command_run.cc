#include "proxy/recovery/command_run.h"

#include <fmt/format.h>

#include "base/text.h"

namespace regrow::recovery {

CommandRun::CommandRun(EventLoop& loop, SpawnOptions options, Duration deadline, OnLine on_line,
                       OnEnd on_end)
    : on_end_(std::move(on_end)) {
    auto child = ChildRun::start(loop, std::move(options), deadline, std::move(on_line),
                                 [this](ChildRun::Outcome outcome) {
                                     auto callback = std::move(on_end_);
                                     callback(std::move(outcome));  // may destroy *this
                                 });
    if (child) {
        child_ = std::move(*child);
        return;
    }
    report_ = Timer(loop, [this, error = std::move(child).error()]() mutable {
        auto callback = std::move(on_end_);
        callback(std::unexpected(std::move(error)));
    });
    report_.after(Duration::zero());
}

void CommandRun::extend(Duration deadline) {
    if (child_) child_->extend(deadline);
}

pid_t CommandRun::pid() const {
    return child_ ? child_->pid() : 0;
}

void OutputTail::add(std::string_view line) {
    if (line.empty()) return;
    lines_.emplace_back(line.substr(0, kBytes));
    bytes_ += lines_.back().size();
    left_out_ += line.size() - lines_.back().size();
    while (bytes_ > kBytes || lines_.size() > kLines) {
        bytes_ -= lines_.front().size();
        left_out_ += lines_.front().size();
        lines_.pop_front();
    }
}

Result<> checkOutcome(const Result<ChildRun::Outcome>& outcome, std::string_view what,
                      Duration deadline) {
    if (!outcome) return std::unexpected(Error(outcome.error()).in(what));
    if (outcome->status.ok()) return {};
    const std::string tail = lastLines(outcome->stderr_tail);
    if (outcome->status.timed_out)
        return fail(Code::timeout, Source::us,
                    fmt::format("{} did not end within {} and was killed{}{}", what,
                                humanDuration(deadline), tail.empty() ? "" : ": ", tail));
    return fail(Code::internal, Source::us,
                fmt::format("{} ended with {}{}{}", what, outcome->status.text(),
                            tail.empty() ? "" : ": ", tail));
}

std::string lastLines(std::string_view text, size_t bytes) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    if (text.size() > bytes) {
        text.remove_prefix(text.size() - bytes);
        // A line cut in two says less than none, unless it is the only one.
        const auto newline = text.find('\n');
        if (newline != std::string_view::npos) text.remove_prefix(newline + 1);
    }
    std::string joined;
    for (const char c : text) {
        if (c == '\n')
            joined += " | ";
        else if (c != '\r')
            joined += c;
    }
    return joined;
}

}  // namespace regrow::recovery
