#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/child_process.h"
#include "base/event_loop.h"
#include "proxy/recovery/operation.h"

// What hooks, actions and verbs have in common: one command, its lines, its end. Unlike ChildRun a
// command that cannot be started reports through the same callback as one that fails. Control loop
// only.
namespace regrow::recovery {

class CommandRun final : public Operation {
  public:
    using OnLine = ChildRun::OnLine;  // must not destroy the run
    using OnEnd = std::move_only_function<void(Result<ChildRun::Outcome>)>;

    CommandRun(EventLoop& loop, SpawnOptions options, Duration deadline, OnLine on_line,
               OnEnd on_end);
    void extend(Duration deadline);
    pid_t pid() const;  // 0: it could not be started

  private:
    std::unique_ptr<ChildRun> child_;
    Timer report_;
    OnEnd on_end_;
};

// The end of an output that may go on for ever: at most kBytes and kLines of it.
class OutputTail {
  public:
    static constexpr size_t kBytes = 4096;
    static constexpr size_t kLines = 64;
    void add(std::string_view line);
    const std::deque<std::string>& lines() const { return lines_; }
    uint64_t leftOut() const { return left_out_; }  // bytes

  private:
    std::deque<std::string> lines_;
    size_t bytes_ = 0;  // of lines_
    uint64_t left_out_ = 0;
};

// Success when the outcome is exit 0; else an error that says what ended how and the end of its
// standard error.
Result<> checkOutcome(const Result<ChildRun::Outcome>& outcome, std::string_view what,
                      Duration deadline);

// The last lines of a text, joined by " | ", at most `bytes`: for error messages.
std::string lastLines(std::string_view text, size_t bytes = 400);

}  // namespace regrow::recovery
