#include "proxy/balance/peak_ewma.h"

#include <cmath>

namespace regrow {
namespace {

constexpr double kMemory = 10;  // seconds: Finagle's default
// Of a backend that has requests but no answer yet: it may be the one that never answers. Beyond
// any latency, so that it gets no second request before everybody else has theirs.
constexpr double kUnknown = 1e6;

double kept(Duration age) {
    return age <= Duration::zero() ? 1.0 : std::exp(-toSeconds(age) / kMemory);
}

}  // namespace

void PeakEwma::update(const PoolView& pool, int priority, Instant now) {
    RandomTwo::update(pool, priority, now);
    for (size_t i = 0; i < members().size(); ++i) {
        const BackendView& b = members().backend(i);
        if (peaks_.size() <= b.slot) peaks_.resize(b.slot + 1);
        Peak& peak = peaks_[b.slot];
        if (peak.epoch != b.epoch) peak = {.epoch = b.epoch};  // another server: nothing is known
    }
}

void PeakEwma::answered(uint32_t slot, Duration latency, Instant now) {
    if (slot >= peaks_.size()) return;
    Peak& peak = peaks_[slot];
    const double seconds = std::max(0.0, toSeconds(latency));
    const double share = kept(now - peak.at);
    peak.seconds = seconds > peak.seconds ? seconds : peak.seconds * share + seconds * (1 - share);
    peak.at = now;
}

double PeakEwma::latency(uint32_t slot, Instant now) const {
    if (slot >= peaks_.size()) return 0;
    return peaks_[slot].seconds * kept(now - peaks_[slot].at);
}

double PeakEwma::cost(size_t member, Instant now) const {
    const BackendView& b = members().backend(member);
    const auto waiting = static_cast<double>(inFlight(b));
    const double known = latency(b.slot, now);
    const double each = known > 0 ? known : waiting > 0 ? kUnknown : 0;
    return each * (waiting + 1) / members().weight(member);
}

}  // namespace regrow
