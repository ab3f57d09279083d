#pragma once

#include "health/checker.h"
#include "health/probe.h"

namespace regrow::health {

// Good when the connection is accepted; with TLS, when its handshake succeeds. The kernel accepts
// for a stopped process too, until its backlog is full: this sees a port, not a program.
class TcpChecker final : public Checker, private Probe {
  public:
    using Probe::Probe;
    void start(Done done) override { Probe::start(std::move(done)); }

  private:
    void connected() override {
        resetOnClose();
        finish(Outcome::pass, "connected");
    }
    void ready() override {}
    bool heard() const override { return false; }
};

}  // namespace regrow::health
