#include "proxy/balance/weighted_draw.h"

namespace regrow {
namespace {

constexpr double kWhole = 4294967296.0;

uint32_t portion(double share) {
    if (share >= 1) return UINT32_MAX;
    return static_cast<uint32_t>(share * kWhole);
}

}  // namespace

void WeightedDraw::build(std::span<const int32_t> weights) {
    double sum = 0;
    for (const int32_t w : weights) sum += w;
    columns_.assign(weights.size(), {});
    shares_.clear(), poor_.clear(), rich_.clear();
    for (size_t i = 0; i < weights.size(); ++i) {
        shares_.push_back(weights[i] * static_cast<double>(weights.size()) / sum);
        (shares_[i] < 1 ? poor_ : rich_).push_back(static_cast<uint32_t>(i));
    }
    // A poor column is filled up by a rich one, which becomes poorer by as much.
    while (!poor_.empty() && !rich_.empty()) {
        const uint32_t poor = poor_.back(), rich = rich_.back();
        poor_.pop_back();
        columns_[poor] = {portion(shares_[poor]), rich};
        shares_[rich] -= 1 - shares_[poor];
        if (shares_[rich] >= 1) continue;
        rich_.pop_back();
        poor_.push_back(rich);
    }
    // What rounding left over has a column to itself.
    for (const uint32_t i : poor_) columns_[i] = {UINT32_MAX, i};
    for (const uint32_t i : rich_) columns_[i] = {UINT32_MAX, i};
}

}  // namespace regrow
