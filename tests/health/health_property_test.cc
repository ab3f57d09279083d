#include <catch2/catch.hpp>

#include "base/random.h"
#include "health/health_state.h"

using namespace regrow;
using namespace regrow::health;
using namespace std::chrono_literals;

namespace {

HealthPolicy anyPolicy(Random& random) {
    HealthPolicy policy;
    policy.checks.clear();
    for (size_t i = 0; i <= random.below(3); ++i)
        policy.checks.push_back(
            {static_cast<int>(random.below(4)) + 1, static_cast<int>(random.below(4)) + 1, 1s});
    policy.errors_in_a_row = static_cast<int>(random.below(5));
    policy.supervised = random.below(2) == 0;
    return policy;
}

HealthEvent anyEvent(Random& random, const HealthPolicy& policy) {
    constexpr Outcome kOutcomes[] = {Outcome::pass, Outcome::no_answer, Outcome::bad_answer,
                                     Outcome::failed, Outcome::not_run};
    const auto roll = random.below(20);
    if (roll < 12)
        return CheckDone{random.below(policy.checks.size()),
                         kOutcomes[std::min<uint64_t>(random.below(7), 4) % 5], "t"};
    if (roll < 13) return TrafficOk{};
    if (roll < 14) return TrafficAnswered{};
    if (roll < 17) return TrafficFailed{random.below(2) == 0, "t"};
    if (roll < 18) return ProcessExited{"t"};
    if (roll < 19) return ProcessStarted{};
    return Tick{};
}

// The rules again, written the other way round: over the history of events instead of as counters.
class History {
  public:
    explicit History(const HealthPolicy& policy)
        : policy_(policy), streak_(policy.checks.size(), 0) {}

    void add(const HealthEvent& event) {
        if (std::holds_alternative<ProcessStarted>(event))
            std::fill(streak_.begin(), streak_.end(), 0), exited = false, silent = 0;
        if (std::holds_alternative<ProcessExited>(event))
            std::fill(streak_.begin(), streak_.end(), 0), exited = true;
        const auto* failed = std::get_if<TrafficFailed>(&event);
        if (std::holds_alternative<TrafficOk>(event) ||
            std::holds_alternative<TrafficAnswered>(event) || (failed && !failed->no_answer))
            silent = 0;
        const auto* done = std::get_if<CheckDone>(&event);
        if (!done || done->outcome == Outcome::not_run ||
            (exited && done->outcome == Outcome::pass))
            return;
        if (done->outcome == Outcome::pass || done->outcome == Outcome::bad_answer) silent = 0;
        if (done->outcome == Outcome::no_answer) ++silent;
        int& streak = streak_[done->check];
        if (done->outcome == Outcome::pass)
            streak = std::max(streak, 0) + 1;
        else
            streak = std::min(streak, 0) - 1;
    }
    bool allRose() const {
        for (size_t i = 0; i < streak_.size(); ++i)
            if (streak_[i] < policy_.checks[i].rise) return false;
        return true;
    }
    bool oneFell() const {
        for (size_t i = 0; i < streak_.size(); ++i)
            if (-streak_[i] >= policy_.checks[i].fall) return true;
        return false;
    }

    bool exited = false;
    int silent = 0;  // results without any answer since the last answer

  private:
    const HealthPolicy& policy_;
    std::vector<int> streak_;
};

void checkTransition(const Transition& t, const HealthState& before, const History& history,
                     const HealthEvent& event, Instant now) {
    CHECK(t.from == before.verdict);
    CHECK(t.to != t.from);
    CHECK_FALSE(t.reason.empty());
    if (t.to == Verdict::up) {
        CHECK(history.allRose());
        CHECK_FALSE(history.exited);
        CHECK(now >= before.hold_down_until);
    }
    if (t.to == Verdict::suspect)
        CHECK((t.from == Verdict::up && std::holds_alternative<TrafficFailed>(event)));
    if (t.to == Verdict::down)
        CHECK((history.oneFell() || std::holds_alternative<ProcessExited>(event) ||
               std::holds_alternative<ProcessStarted>(event)));
}

void checkState(const HealthState& state, const HealthPolicy& policy, const History& history,
                Instant now) {
    CHECK(state.exited == history.exited);
    CHECK(state.hold_down <= policy.hold_down_most);
    CHECK((state.hold_down == 0s || state.hold_down >= policy.hold_down_first));
    if (history.exited || history.oneFell()) CHECK(state.verdict == Verdict::down);
    const auto death = confirmedDead(state, policy, now);
    if (history.exited)
        CHECK((death && death->proof));
    else if (history.silent == 0)
        CHECK_FALSE(death);
    if (state.verdict == Verdict::up) CHECK_FALSE(wakeAt(state, policy));
    if (const auto at = wakeAt(state, policy)) CHECK(*at > now);  // else it would be up already
}

}  // namespace

TEST_CASE("whatever happens in whatever order, the rules hold") {
    for (uint64_t seed = 0; seed < 300; ++seed) {
        INFO("seed " << seed);
        Random random(seed);
        const auto policy = anyPolicy(random);
        History history(policy);
        Instant now{1h};
        auto state = initialState(policy, now);
        for (int i = 0; i < 300; ++i) {
            now += std::chrono::milliseconds(random.below(random.below(50) == 0 ? 100'000 : 1'500));
            // Time that passed may have ended a hold-down; control ticks at wakeAt.
            if (const auto at = wakeAt(state, policy); at && *at <= now)
                state = step(state, policy, Tick{}, now).state;
            const auto event = anyEvent(random, policy);
            history.add(event);
            const auto result = step(state, policy, event, now);
            if (result.transition)
                checkTransition(*result.transition, state, history, event, now);
            else
                CHECK(result.state.verdict == state.verdict);
            state = result.state;
            checkState(state, policy, history, now);
        }
    }
}

TEST_CASE("the same events give the same state") {
    Random random(1);
    const auto policy = anyPolicy(random);
    std::vector<HealthEvent> events;
    events.reserve(500);
    for (int i = 0; i < 500; ++i) events.push_back(anyEvent(random, policy));
    const auto live = [&] {
        Instant now{1h};
        auto state = initialState(policy, now);
        for (const auto& event : events) state = step(state, policy, event, now += 300ms).state;
        return state;
    };
    CHECK(live() == live());
}
