#include "proxy/control/latency_window.h"

#include <catch2/catch.hpp>

using namespace regrow;
using namespace regrow::control;
using namespace std::chrono_literals;

namespace {

void record(BackendStats& stats, Duration took, int times) {
    for (int i = 0; i < times; ++i)
        stats.shards[static_cast<size_t>(i) % stats.shards.size()].latency.record(took);
}

}  // namespace

TEST_CASE("percentiles over all workers, right within a bucket", "[latency]") {
    BackendStats stats(2);
    record(stats, 10ms, 89);
    record(stats, 100ms, 10);
    record(stats, 2s, 1);
    const auto p = LatencyWindow().percentiles(1, stats);
    CHECK(p.p50_ms == Approx(10).epsilon(0.19));
    CHECK(p.p90_ms == Approx(100).epsilon(0.19));
    CHECK(p.p99_ms == Approx(2000).epsilon(0.19));
}

TEST_CASE("nothing counted is nothing said, one request is every percentile", "[latency]") {
    BackendStats stats(1);
    CHECK(LatencyWindow().percentiles(1, stats).p99_ms == 0);
    record(stats, 5ms, 1);
    const auto p = LatencyWindow().percentiles(1, stats);
    CHECK(p.p50_ms == p.p99_ms);
    CHECK(p.p50_ms == Approx(5).epsilon(0.19));
}

TEST_CASE("what is older than the window counts no more", "[latency]") {
    BackendStats stats(1);
    LatencyWindow window;
    record(stats, 1s, 1000);
    window.sample(1, stats);
    record(stats, 1ms, 10);
    CHECK(window.percentiles(1, stats).p99_ms == Approx(1).epsilon(0.19));
    for (size_t i = 0; i + 1 < LatencyWindow::kSamples; ++i) window.sample(1, stats);
    CHECK(window.percentiles(1, stats).p99_ms == Approx(1).epsilon(0.19));
    window.sample(1, stats);
    CHECK(window.percentiles(1, stats).p99_ms == 0);
}

TEST_CASE("each place has its own window", "[latency]") {
    BackendStats one(1);
    BackendStats two(1);
    LatencyWindow window;
    record(one, 1ms, 1);
    record(two, 1ms, 1);
    window.sample(1, one);
    CHECK(window.percentiles(1, one).p50_ms == 0);
    CHECK(window.percentiles(2, two).p50_ms > 0);
}

TEST_CASE("the longest time has an end", "[latency]") {
    BackendStats stats(1);
    record(stats, 100h, 1);
    record(stats, -1s, 1);
    CHECK(LatencyWindow().percentiles(1, stats).p99_ms < 1e7);
}
