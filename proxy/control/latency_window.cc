#include "proxy/control/latency_window.h"

#include <numeric>

namespace regrow::control {
namespace {

// The middle of the bucket that holds the `part`-th of all, in milliseconds.
double percentile(const std::array<uint64_t, LatencyHistogram::kBuckets>& counts, uint64_t total,
                  double part) {
    const auto wanted = static_cast<uint64_t>(part * static_cast<double>(total));
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < counts.size(); ++bucket) {
        seen += counts[bucket];
        if (seen <= wanted) continue;
        const auto low = static_cast<double>(LatencyHistogram::lowerBound(bucket));
        const auto high = static_cast<double>(LatencyHistogram::lowerBound(bucket + 1));
        return (low + high) / 2000;
    }
    return 0;
}

}  // namespace

LatencyWindow::Histogram LatencyWindow::sum(const BackendStats& stats) {
    Histogram total{};
    for (const auto& shard : stats.shards)
        for (size_t bucket = 0; bucket < total.size(); ++bucket)
            total[bucket] += shard.latency.count(bucket);
    return total;
}

void LatencyWindow::sample(uint32_t backend_slot, const BackendStats& stats) {
    auto& samples = samples_[backend_slot];
    samples.push_back(sum(stats));
    if (samples.size() > kSamples) samples.pop_front();
}

LatencyStatus LatencyWindow::percentiles(uint32_t backend_slot, const BackendStats& stats) const {
    Histogram counts = sum(stats);
    if (const auto it = samples_.find(backend_slot); it != samples_.end() && !it->second.empty())
        for (size_t bucket = 0; bucket < counts.size(); ++bucket)
            counts[bucket] -= it->second.front()[bucket];
    const uint64_t total = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
    if (total == 0) return {};
    return {percentile(counts, total, 0.5), percentile(counts, total, 0.9),
            percentile(counts, total, 0.99)};
}

}  // namespace regrow::control
