#include "health/health_state.h"

#include <catch2/catch.hpp>

using namespace regrow;
using namespace regrow::health;
using namespace std::chrono_literals;

namespace {

// A server's life as a dialogue: what happens to it, and what the machine says.
class Life {
  public:
    explicit Life(HealthPolicy policy = {})
        : policy_(std::move(policy)), state_(initialState(policy_, now_)) {}

    Life& after(Duration d) { return now_ += d, *this; }
    StepResult event(const HealthEvent& event) {
        auto result = step(state_, policy_, event, now_);
        state_ = result.state;
        if (result.transition) transitions_.push_back(*result.transition);
        return result;
    }
    Life& check(Outcome outcome, const std::string& text = "", size_t index = 0) {
        return event(CheckDone{index, outcome, text}), *this;
    }
    Life& pass(int times = 1) {
        for (int i = 0; i < times; ++i) check(Outcome::pass, "HTTP 200");
        return *this;
    }
    Life& fail(int times = 1, Outcome outcome = Outcome::no_answer,
               const std::string& text = "connection refused") {
        for (int i = 0; i < times; ++i) check(outcome, text);
        return *this;
    }
    // A long probe that began `ago` and ends now.
    Life& longProbe(Outcome outcome, Duration ago) {
        return event(LongProbe{outcome, now_ - ago, "not one byte"}), *this;
    }
    Life& error(int times = 1, bool no_answer = true) {
        for (int i = 0; i < times; ++i) event(TrafficFailed{no_answer, "reset"});
        return *this;
    }

    std::string_view verdict() const { return name(state_.verdict); }
    const HealthState& state() const { return state_; }
    std::optional<Death> death() const { return confirmedDead(state_, policy_, now_); }
    const std::vector<Transition>& transitions() const { return transitions_; }
    std::optional<Duration> wakesIn() const {
        const auto at = wakeAt(state_, policy_);
        return at ? std::optional<Duration>(*at - now_) : std::nullopt;
    }
    bool fast() const { return wantsFastProbe(state_, now_); }

  private:
    HealthPolicy policy_;
    Instant now_{std::chrono::hours(1)};
    HealthState state_;
    std::vector<Transition> transitions_;
};

HealthPolicy supervised() {
    HealthPolicy policy;
    policy.supervised = true;
    return policy;
}

HealthPolicy twoChecks() {
    HealthPolicy policy;
    policy.checks = {{2, 3, 1s}, {1, 2, 10s}};
    return policy;
}

}  // namespace

TEST_CASE("a server under service.run is down until it rose, any other is up") {
    CHECK(Life().verdict() == "up");
    Life life(supervised());
    CHECK(life.verdict() == "down");
    CHECK(life.state().reason == "starting");
    CHECK(life.fast());
    CHECK(life.pass().verdict() == "down");
    CHECK(life.pass().verdict() == "up");
    CHECK_FALSE(life.fast());
}

TEST_CASE("fall failures in a row take it down, and one pass begins the count anew") {
    Life life;
    life.fail(2).pass().fail(2);
    CHECK(life.verdict() == "up");
    CHECK(life.fast());
    life.fail();
    CHECK(life.verdict() == "down");
    REQUIRE(life.transitions().size() == 1);
    CHECK(life.transitions()[0].reason == "3 checks failed in a row");
    CHECK(life.transitions()[0].evidence == "connection refused");
    CHECK(life.transitions()[0].kind == EvidenceKind::check_no_answer);
    life.pass().fail().pass();
    CHECK(life.verdict() == "down");
    CHECK(life.pass().verdict() == "up");
    CHECK(life.transitions()[1].reason == "checks pass");
}

TEST_CASE("of several checks each counts for itself, and all must pass") {
    Life life(twoChecks());
    life.fail(1, Outcome::bad_answer)
        .check(Outcome::pass, "exit 0", 1)
        .fail(1, Outcome::bad_answer)
        .check(Outcome::pass, "exit 0", 1);
    CHECK(life.verdict() == "up");
    life.fail(1, Outcome::bad_answer,
              "HTTP 503");  // the other check's passes in between do not help
    CHECK(life.verdict() == "down");
    life.pass();
    CHECK(life.verdict() == "down");
    life.pass();
    CHECK(life.verdict() == "up");  // the other check has been passing all the while
    life.check(Outcome::failed, "exit 1", 1).pass(5).check(Outcome::failed, "exit 1", 1);
    CHECK(life.verdict() == "down");
    life.pass(5);
    CHECK(life.verdict() == "down");
    life.check(Outcome::pass, "exit 0", 7);  // a check that is no more
    CHECK(life.verdict() == "down");
}

TEST_CASE("errors in a row eject it, only checks bring it back") {
    Life life;
    CHECK(life.event(TrafficFailed{true, "reset"}).check_now);
    life.error();
    life.event(TrafficOk{});
    life.error(2);
    CHECK(life.verdict() == "up");
    const auto result = life.event(TrafficFailed{false, "HTTP 500"});
    CHECK(life.verdict() == "suspect");
    CHECK(result.check_now);
    CHECK(life.fast());
    CHECK(result.transition->reason == "3 requests failed in a row");
    CHECK(result.transition->evidence == "HTTP 500");
    for (int i = 0; i < 10; ++i) life.event(TrafficOk{});
    CHECK(life.verdict() == "suspect");
    CHECK(life.pass().verdict() == "suspect");
    CHECK(life.pass().verdict() == "up");
}

TEST_CASE("with observe off traffic ejects nobody") {
    HealthPolicy policy;
    policy.errors_in_a_row = 0;
    CHECK(Life(policy).error(100).verdict() == "up");
}

TEST_CASE("a suspect that fails its checks is down") {
    CHECK(Life().error(3).fail(3).verdict() == "down");
}

TEST_CASE("a process that exited is down and dead at once, whatever its port says") {
    Life life(supervised());
    life.pass(2);
    life.event(ProcessExited{"killed by SIGKILL"});
    CHECK(life.verdict() == "down");
    REQUIRE(life.death());
    CHECK(life.death()->proof);
    CHECK(life.death()->text == "process exited: killed by SIGKILL");
    life.pass(10);
    CHECK(life.verdict() == "down");
    CHECK_FALSE(life.fast());
    CHECK(life.event(ProcessStarted{}).check_now);
    CHECK_FALSE(life.death());
    CHECK(life.verdict() == "down");
    CHECK(life.after(1s).pass(2).verdict() == "up");
}

TEST_CASE("a result that is our own fault counts for nothing") {
    Life life;
    life.fail(2).fail(5, Outcome::not_run, "too many open files");
    CHECK(life.verdict() == "up");
    CHECK(life.fail().verdict() == "down");
}

TEST_CASE("going down again soon after coming up doubles the hold-down") {
    Life life;
    life.fail(3);
    CHECK(life.pass(2).verdict() == "up");  // the first time nothing is held against it
    for (const auto held : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
        life.after(1s).fail(3);
        CHECK(life.verdict() == "down");
        life.pass(2);
        CHECK(life.verdict() == "down");
        REQUIRE(life.wakesIn() == held);
        life.after(held - 1ms).event(Tick{});
        CHECK(life.verdict() == "down");
        life.after(1ms).event(Tick{});
        CHECK(life.verdict() == "up");
    }
}

TEST_CASE("staying up lets the hold-down decay") {
    Life life;
    life.fail(3).pass(2).after(1s).fail(3);     // 1 s
    life.after(1s).pass(2).after(1s).fail(3);   // 2 s
    life.after(2s).pass(2).after(1s).fail(3);   // 4 s
    life.after(4s).pass(2).after(30s).fail(3);  // halved
    CHECK(life.state().hold_down == 2s);
    life.after(2s).pass(2).after(10min).fail(3).pass(2);
    CHECK(life.state().hold_down == 0s);
    CHECK(life.verdict() == "up");
}

TEST_CASE("being ejected by traffic again and again is flapping too") {
    Life life;
    life.error(3).pass(2).after(1s).error(3).pass(2);
    CHECK(life.verdict() == "suspect");
    CHECK(life.wakesIn() == 1s);
}

TEST_CASE("a failed check during the hold-down cancels the passes before it") {
    Life life;
    life.fail(3).pass(2).after(1s).fail(3).pass(2).fail();
    CHECK_FALSE(life.wakesIn());
    life.after(5s).event(Tick{});
    CHECK(life.verdict() == "down");
    CHECK(life.pass(2).verdict() == "up");
}

TEST_CASE("silence of checks and traffic alike is death") {
    Life life;
    life.error(1).fail(3);
    REQUIRE(life.death());
    CHECK_FALSE(life.death()->proof);
    CHECK(life.death()->text ==
          "3 checks without an answer: connection refused; 1 requests without an answer: reset");
}

TEST_CASE("silence of the checks alone takes twice as long") {
    Life life;
    for (int i = 0; i < 6; ++i) life.after(900ms).fail();
    life.longProbe(Outcome::no_answer, 4s);
    CHECK_FALSE(life.death());  // twice as many, not yet twice as long
    life.after(1500ms);
    REQUIRE(life.death());
    CHECK(life.death()->kind == EvidenceKind::check_no_answer);

    Life slow;
    slow.after(1s).fail(5).after(1min).longProbe(Outcome::no_answer, 2s);
    CHECK_FALSE(slow.death());  // long enough, not often enough
}

TEST_CASE("silence of the checks alone is not death while somebody patient was not asked") {
    const auto silent = [] {
        Life life;
        for (int i = 0; i < 20; ++i) life.after(1s).fail();
        return life;
    };
    CHECK(wantsLongProbe(silent().state()));
    CHECK_FALSE(silent().death());
    CHECK(silent().longProbe(Outcome::no_answer, 2s).death());
    CHECK_FALSE(wantsLongProbe(silent().longProbe(Outcome::no_answer, 2s).state()));
    CHECK_FALSE(silent().longProbe(Outcome::not_run, 2s).death());
    // It began before they were silent: something may have been heard since.
    CHECK_FALSE(silent().longProbe(Outcome::no_answer, 1min).death());
    auto slow = silent().longProbe(Outcome::pass, 600ms);
    CHECK_FALSE(slow.death());
    CHECK(slow.verdict() == "down");
    CHECK(slow.state().checks[0].no_answers == 0);
    CHECK_FALSE(silent().longProbe(Outcome::no_answer, 2s).pass().death());
    auto again = silent().longProbe(Outcome::no_answer, 2s);
    again.event(TrafficAnswered{});
    CHECK_FALSE(again.death());
    CHECK_FALSE(wantsLongProbe(Life().state()));
}

TEST_CASE("checks that hear nothing while traffic is answered take it down and prove nothing") {
    Life life;
    for (int i = 0; i < 100; ++i) {
        life.event(TrafficAnswered{});
        life.after(1s).fail();
    }
    CHECK(life.verdict() == "down");
    CHECK(life.transitions()[0].kind == EvidenceKind::check_bad_answer);
    CHECK_FALSE(life.death());
    // It breaks no row of failed requests: workers say of a success when it came after a failure.
    Life failing;
    failing.error(2).event(TrafficAnswered{});
    CHECK(failing.error(1).verdict() == "suspect");
}

TEST_CASE("any answer, however wrong, is life") {
    const auto silent = [] { return Life().error(1).fail(3); };
    CHECK(silent().death());
    CHECK_FALSE(silent().fail(1, Outcome::bad_answer, "HTTP 503").death());
    CHECK_FALSE(silent().error(1, false).death());
    CHECK_FALSE(silent().pass().death());
    auto life = silent();
    life.event(TrafficOk{});
    CHECK_FALSE(life.death());
    CHECK(silent()
              .check(Outcome::failed, "exit 1")
              .death());  // a command's opinion is no answer of the server
    CHECK(silent().check(Outcome::not_run, "").death());
}

TEST_CASE("slow or erring is down and never dead") {
    Life life;
    for (int i = 0; i < 1000; ++i)
        life.after(1s).fail(1, Outcome::bad_answer, "HTTP 500").error(1, false);
    CHECK(life.verdict() == "down");
    CHECK_FALSE(life.death());
    Life command;
    for (int i = 0; i < 1000; ++i) command.after(1s).check(Outcome::failed, "exit 1");
    CHECK(command.verdict() == "down");
    CHECK_FALSE(command.death());
}

TEST_CASE("trouble of traffic long over is no second witness") {
    Life life;
    life.error(1).after(1min).fail(3);
    CHECK_FALSE(life.death());
}

TEST_CASE("a reload that changes the checks keeps the verdict") {
    Life life;
    life.fail(3);
    const auto adapted = adapt(life.state(), twoChecks());
    CHECK(adapted.verdict == Verdict::down);
    CHECK(adapted.checks.size() == 2);
    CHECK_FALSE(adapted.checks[1].good);
    const auto result = step(adapted, twoChecks(), CheckDone{1, Outcome::pass, ""}, Instant{2h});
    CHECK(result.state.verdict == Verdict::down);
}
