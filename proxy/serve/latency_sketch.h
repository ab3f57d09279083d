#pragma once

#include <array>
#include <cstdint>

#include "proxy/balance/stats.h"

namespace regrow::serve {

// How long answers took lately: counts in the log-linear buckets of LatencyHistogram
// (HdrHistogram's idea, right within 19 %), all halved each kMemory answers, so that what is older
// than some thousand of them fades (exponential decay by halving, as TinyLFU ages its counts). 256
// bytes, no allocation; recording is two increments, and only who asks for a quantile walks the
// buckets. One writer: a worker's own.
class LatencySketch {
  public:
    static constexpr uint32_t kMemory = 1024;

    void record(Duration d) {
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(d).count();
        ++counts_[LatencyHistogram::bucketOf(us > 0 ? static_cast<uint64_t>(us) : 0)];
        if (++total_ >= kMemory) halve();
    }
    uint32_t samples() const { return total_; }
    // The upper end of the bucket in which the quantile lies; 0 while there is nothing.
    Duration quantile(double q) const {
        const double wanted = q * total_;
        double below = 0;
        for (size_t i = 0; i < counts_.size(); ++i) {
            below += counts_[i];
            if (total_ > 0 && below >= wanted && counts_[i] > 0)
                return std::chrono::microseconds(LatencyHistogram::lowerBound(i + 1));
        }
        return {};
    }
    void clear() { *this = {}; }

  private:
    void halve() {
        total_ = 0;
        for (uint16_t& count : counts_) total_ += count /= 2;
    }

    std::array<uint16_t, LatencyHistogram::kBuckets> counts_{};
    uint32_t total_ = 0;
};

}  // namespace regrow::serve
