#include "health/command_checker.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.h"

namespace regrow::health {
namespace {

constexpr size_t kWords = 200;  // bytes of its output that are quoted

// What a program prints goes to logs and pages: one line, no control characters.
std::string quotable(std::string_view text) {
    std::string out(text.substr(0, std::min(text.find('\n'), kWords)));
    std::replace_if(
        out.begin(), out.end(),
        [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
    return out;
}

}  // namespace

CommandChecker::CommandChecker(EventLoop& loop, const Address& address, const conf::Check& check)
    : loop_(loop), timeout_(check.timeout) {
    options_.argv = check.command;
    options_.environment = {"REGROW_ADDRESS=" + address.text(), "REGROW_HOST=" + address.host(),
                            "REGROW_PORT=" + std::to_string(address.port())};
}

void CommandChecker::start(Done done) {
    done_ = std::move(done);
    started_ = Mono::now();
    auto run = ChildRun::start(
        loop_, options_, timeout_,
        [this](std::string_view line) {
            if (first_line_.empty()) first_line_ = quotable(line);
        },
        [this](const ChildRun::Outcome& outcome) { ended(outcome); });
    if (run) {
        run_ = std::move(*run);
        return;
    }
    // A program that is not there is the operator's to mend; a fork that failed is ours.
    const auto outcome = run.error().source == Source::config ? Outcome::failed : Outcome::not_run;
    failed_ = Timer(loop_, [this, outcome, text = run.error().message] { finish(outcome, text); });
    failed_.after(Duration{});
}

void CommandChecker::ended(const ChildRun::Outcome& outcome) {
    if (outcome.status.ok()) return finish(Outcome::pass, "exit 0");
    if (outcome.status.timed_out)
        return finish(Outcome::failed, fmt::format("timeout after {}", formatDuration(timeout_)));
    const auto words = first_line_.empty() ? quotable(outcome.stderr_tail) : first_line_;
    finish(Outcome::failed, words.empty() ? outcome.status.text()
                                          : fmt::format("{}: {}", outcome.status.text(), words));
}

void CommandChecker::finish(Outcome outcome, std::string text) {
    auto done = std::move(done_);
    done({.outcome = outcome, .text = std::move(text), .took = Mono::now() - started_});
}

}  // namespace regrow::health
