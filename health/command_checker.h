#pragma once

#include <memory>
#include <string>

#include "base/child_process.h"
#include "health/checker.h"

namespace regrow::health {

// Good when a program exits with 0 in time. It gets REGROW_ADDRESS, REGROW_HOST and REGROW_PORT of
// the server. That it fails proves nothing about whether the server answers: its failures take a
// server down but never count as death.
class CommandChecker final : public Checker {
  public:
    // check.kind == command.
    CommandChecker(EventLoop& loop, const Address& address, const conf::Check& check);
    void start(Done done) override;

  private:
    void finish(Outcome outcome, std::string text);
    void ended(const ChildRun::Outcome& outcome);

    EventLoop& loop_;
    SpawnOptions options_;
    Duration timeout_;
    Done done_;
    Instant started_{};
    std::string first_line_;  // of its output: its own words for what is wrong
    std::unique_ptr<ChildRun> run_;
    Timer failed_;  // tells of a failure to start from the loop
};

}  // namespace regrow::health
