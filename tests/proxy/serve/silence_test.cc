#include "proxy/serve/silence.h"

#include <catch2/catch.hpp>

using namespace regrow;
using namespace regrow::serve;
using namespace std::chrono_literals;

namespace {

constexpr Instant kStart{1h};

void answers(Silence& s, int count, Duration latency, Instant at) {
    for (int i = 0; i < count; ++i) s.asked(at - latency), s.left(), s.answered(latency, at);
}

}  // namespace

TEST_CASE("the sketch knows its quantiles within a bucket and forgets what is old") {
    LatencySketch sketch;
    CHECK(sketch.quantile(0.99) == Duration{});
    for (int i = 0; i < 98; ++i) sketch.record(1ms);
    for (int i = 0; i < 2; ++i) sketch.record(100ms);
    CHECK(sketch.quantile(0.5) > 900us);
    CHECK(sketch.quantile(0.5) < 1250us);
    CHECK(sketch.quantile(0.99) > 90ms);
    for (int i = 0; i < 8 * 1024; ++i) sketch.record(1ms);
    CHECK(sketch.quantile(0.99) < 1250us);
    CHECK(sketch.samples() < LatencySketch::kMemory);
}

TEST_CASE("several unanswered requests while others answer are silence, one or none is not") {
    const LatencySketch nothing;
    Silence s;
    answers(s, 100, 1ms, kStart);
    const Instant later = kStart + 60ms;
    CHECK_FALSE(s.silent(later, later, nothing));
    s.asked(kStart);
    CHECK_FALSE(s.silent(later, later, nothing));
    s.asked(kStart);
    CHECK(s.silent(later, later, nothing));
    CHECK_FALSE(s.silent(kStart + 49ms, later, nothing));
    CHECK_FALSE(s.silent(later, kStart, nothing));  // nobody else answers either
}

TEST_CASE("who is usually slow, or not known yet, is not silent") {
    const LatencySketch nothing;
    Silence slow, unknown;
    answers(slow, 100, 100ms, kStart);
    for (Silence* s : {&slow, &unknown}) s->asked(kStart), s->asked(kStart);
    CHECK_FALSE(slow.silent(kStart + 200ms, kStart + 200ms, nothing));
    CHECK(slow.silent(kStart + 400ms, kStart + 400ms, nothing));
    CHECK_FALSE(unknown.silent(kStart + 1h, kStart + 1h, nothing));
    LatencySketch others;
    for (int i = 0; i < 100; ++i) others.record(1ms);
    CHECK(unknown.silent(kStart + 60ms, kStart + 60ms, others));
}

TEST_CASE("an answer restores trust, and the one that came late does not count as usual") {
    const LatencySketch nothing;
    Silence s;
    answers(s, 100, 1ms, kStart);
    s.asked(kStart), s.asked(kStart);
    s.stall();
    s.left(), s.answered(10s, kStart + 10s);
    CHECK_FALSE(s.stalled());
    s.asked(kStart + 10s);
    CHECK(s.silent(kStart + 10s + 60ms, kStart + 11s, nothing));
}

TEST_CASE("requests that another answered first are unanswered all the same, while one is out") {
    const LatencySketch nothing;
    Silence s;
    answers(s, 100, 1ms, kStart);
    s.asked(kStart);  // waits on
    s.asked(kStart + 1s), s.outrun();
    CHECK_FALSE(s.silent(kStart + 1s + 49ms, kStart + 2s, nothing));
    CHECK(s.silent(kStart + 1s + 60ms, kStart + 2s, nothing));
    SECTION("until it is heard") {
        s.heard(kStart + 2s);
        CHECK_FALSE(s.silent(kStart + 3s, kStart + 3s, nothing));
    }
    SECTION("until nothing is out that could tell") {
        s.left();
        s.asked(kStart + 2s);
        CHECK_FALSE(s.silent(kStart + 3s, kStart + 3s, nothing));
    }
}

TEST_CASE("one slow request does not make silence of the next") {
    const LatencySketch nothing;
    Silence s;
    answers(s, 100, 1ms, kStart);
    s.asked(kStart);
    s.asked(kStart + 1s);
    CHECK_FALSE(s.silent(kStart + 1s + 49ms, kStart + 2s, nothing));
}
