#pragma once

#include <array>
#include <deque>
#include <map>

#include "proxy/balance/stats.h"
#include "proxy/control/status.h"

namespace regrow::control {

// Percentiles of the last minute, from histograms that only grow: what was counted since the oldest
// of a few samples. Control loop only.
class LatencyWindow {
  public:
    static constexpr size_t kSamples = 12;  // one every 5 s

    void sample(uint32_t backend_slot, const BackendStats& stats);
    LatencyStatus percentiles(uint32_t backend_slot, const BackendStats& stats) const;

  private:
    using Histogram = std::array<uint64_t, LatencyHistogram::kBuckets>;
    static Histogram sum(const BackendStats& stats);
    std::map<uint32_t, std::deque<Histogram>> samples_;
};

}  // namespace regrow::control
