#include "proxy/serve/retry.h"

#include <catch2/catch.hpp>

#include "proxy/serve/retry_budget.h"

using namespace regrow;
using namespace regrow::serve;

namespace {

struct Row {
    const char* says;
    Attempt attempt;
    Verdict verdict;
    bool charged = false;
};

constexpr Attempt kGet{
    .idempotent = true, .replayable = true, .untried_backend = true, .budget = true};
constexpr Attempt kPost{.replayable = true, .untried_backend = true, .budget = true};

Attempt with(Attempt a, Trouble trouble, bool sent = true) {
    a.trouble = trouble;
    a.sent = sent;
    a.sends = sent ? 1 : 0;
    return a;
}
Attempt only(Attempt a, bool hold) {  // no other backend
    a.untried_backend = false;
    a.hold = hold;
    return a;
}
Attempt answeredWith(Attempt a, uint16_t s) {
    a.trouble = Trouble::status;
    a.status = s;
    return a;
}
Attempt sends(Attempt a, int n) {
    a.sends = n;
    return a;
}
Attempt broke(Attempt a) {
    a.budget = false;
    return a;
}
Attempt failing(Attempt a) {
    a.failing = true;
    return a;
}
Attempt streamed(Attempt a) {
    a.replayable = false;
    return a;
}

}  // namespace

TEST_CASE("what is sent again, and where") {
    using enum Trouble;
    const std::vector<Row> rows = {
        {"refused: any method goes elsewhere, for free", with(kPost, connect_failed, false),
         Verdict::elsewhere},
        {"refused by all: it waits", only(with(kPost, connect_failed, false), true), Verdict::wait},
        {"refused by all, nothing is held", only(with(kGet, connect_failed, false), false),
         Verdict::answer},
        {"refused without budget: still free", broke(with(kGet, connect_failed, false)),
         Verdict::elsewhere},
        {"stale, GET", with(kGet, stale), Verdict::same_again},
        {"stale, POST whose bytes left", with(kPost, stale), Verdict::answer},
        {"stale, POST of which nothing left", with(kPost, stale, false), Verdict::same_again},
        {"reset: GET goes elsewhere and pays", with(kGet, reset), Verdict::elsewhere, true},
        {"reset: POST may have happened", with(kPost, reset), Verdict::answer},
        {"reset: no budget", broke(with(kGet, reset)), Verdict::answer},
        {"reset: attempts used up", sends(with(kGet, reset), 2), Verdict::answer},
        {"reset: body no longer here", streamed(with(kGet, reset)), Verdict::answer},
        {"reset by the only one: it waits, and pays later", only(with(kGet, reset), true),
         Verdict::wait},
        {"reset by the only one, no budget: it may come back", broke(only(with(kGet, reset), true)),
         Verdict::wait},
        {"reset by the only one, which fails again and again",
         failing(only(with(kGet, reset), true)), Verdict::same_again, true},
        {"the same without budget", failing(broke(only(with(kGet, reset), true))), Verdict::answer},
        {"reset by the only one once too often", sends(only(with(kGet, reset), true), kHeldSends),
         Verdict::answer},
        {"reset by the only one, nothing held: once more", only(with(kGet, reset), false),
         Verdict::same_again, true},
        {"silence: elsewhere", with(kGet, no_first_byte), Verdict::elsewhere, true},
        {"silence of the only one", only(with(kGet, no_first_byte), true), Verdict::answer},
        {"503 goes elsewhere", answeredWith(kGet, 503), Verdict::elsewhere, true},
        {"503 to a POST", answeredWith(kPost, 503), Verdict::answer},
        {"503 from the only one is the answer", only(answeredWith(kGet, 503), true),
         Verdict::answer},
        {"500 is not named by default", answeredWith(kGet, 500), Verdict::answer},
        {"a refused stream, POST: it did not begin with it", broke(with(kPost, refused)),
         Verdict::elsewhere},
        {"a refused stream, and others fail too", failing(with(kPost, refused)), Verdict::elsewhere,
         true},
        {"the same without budget", failing(broke(with(kPost, refused))), Verdict::answer},
        {"a stream refused by the only one", only(with(kPost, refused), true), Verdict::wait},
        {"a stream refused by the only one, nothing held", only(with(kPost, refused), false),
         Verdict::same_again, true},
        {"a stream refused once too often", sends(only(with(kPost, refused), true), kHeldSends),
         Verdict::answer},
        {"nonsense is not asked for twice", with(kGet, bad_answer), Verdict::answer},
        {"fenced: GET waits", only(with(kGet, fenced), true), Verdict::wait},
        {"fenced: GET, nothing held", with(kGet, fenced), Verdict::elsewhere},
        {"fenced: POST in flight", with(kPost, fenced), Verdict::answer},
        {"fenced: POST still connecting", only(with(kPost, fenced, false), true), Verdict::wait},
    };
    for (const Row& row : rows) {
        INFO(row.says);
        const Verdict verdict = decide(conf::Retry{}, row.attempt);
        CHECK(static_cast<int>(verdict) == static_cast<int>(row.verdict));
        CHECK(charged(row.attempt, verdict) == row.charged);
    }
}

TEST_CASE("retry rules are obeyed") {
    conf::Retry rules;
    rules.attempts = 1;
    CHECK(decide(rules, with(kGet, Trouble::reset)) == Verdict::answer);
    CHECK(decide(rules, with(kGet, Trouble::connect_failed, false)) == Verdict::answer);
    CHECK(decide(rules, with(kGet, Trouble::stale)) == Verdict::same_again);  // not a retry
    rules = {};
    rules.unsent = false;
    CHECK(decide(rules, with(kGet, Trouble::connect_failed, false)) == Verdict::answer);
    CHECK(decide(rules, with(kGet, Trouble::refused)) == Verdict::answer);
    rules = {};
    rules.no_answer = false;
    CHECK(decide(rules, with(kGet, Trouble::reset)) == Verdict::answer);
    rules = {};
    rules.on_5xx = true;
    CHECK(decide(rules, answeredWith(kGet, 500)) == Verdict::elsewhere);
    rules.on_503 = rules.on_5xx = false;
    CHECK(decide(rules, answeredWith(kGet, 503)) == Verdict::answer);
}

TEST_CASE("the retry budget is a share of the requests, and a few a second for quiet pools") {
    RetryBudget budget;
    budget.configure(0.2, 1);
    Instant now{std::chrono::hours(1)};
    const auto spend = [&] {
        int spent = 0;
        while (budget.allows(now)) budget.charge(), ++spent;
        return spent;
    };
    CHECK(spend() == 3);
    CHECK(spend() == 0);
    now += std::chrono::seconds(1);
    CHECK(spend() == 3);
    for (int i = 0; i < 102; ++i) budget.request();
    CHECK(spend() == 20);
    now += std::chrono::hours(1);
    CHECK(spend() == 3);  // quiet hours do not save up for a storm
    int spent = 0;
    for (int i = 0; i < 1000; ++i) {  // ten steady seconds: the floor adds nothing to their share
        now += std::chrono::milliseconds(10);
        budget.request();
        spent += spend();
    }
    CHECK(spent >= 199);
    CHECK(spent <= 201);
}
