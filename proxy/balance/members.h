#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "proxy/balance/balancer.h"

namespace regrow {

// The part of its weight that a backend in slow start has by now; 1 afterwards. Never nothing: a
// share too small to notice would prove nothing about the server.
double rampFactor(const BackendView& backend, Instant now);

// The backends of a pool that accept, with the weight each has now and whose turn it is. Weights
// are scaled so that slow start can give a hundredth of one; turns are dealt by smooth weighted
// round robin (Igor Sysoev's, nginx 1.3.1): everyone is credited its weight, the richest is chosen
// and pays the sum. Among equals that is going round, and is done so: crediting 1,000 reads and
// writes 12 KB.
//
// Columns rather than records: with 1,000 backends one turn reads 8 KB in a row, not 1,000
// scattered views.
class Members {
  public:
    // Keeps the credits of places that stay, so that frequent views do not always begin with the
    // same backend.
    void update(const PoolView& pool, int priority, Instant now, uint32_t rotation);
    // Slow start: brings weights up to date, at most every kRampStep.
    // True when any may have changed.
    bool refresh(Instant now) {
        if (now < next_refresh_) return false;
        weigh(now);
        return true;
    }

    size_t size() const { return places_.size(); }
    const BackendView& backend(size_t i) const { return pool_->backends[places_[i]]; }
    int32_t weight(size_t i) const { return weights_[i]; }
    std::span<const int32_t> weights() const { return weights_; }
    bool eligible(size_t i, const Tried& tried) const {
        return !tried.contains(backend(i).slot) && hasRoom(backend(i));
    }

    bool exhausted(const Tried& tried) const;

    // Deals a turn among all; takeBack() undoes it.
    size_t turn();
    void takeBack(size_t chosen);
    // Deals a turn among some of them; `among` is not empty.
    size_t turnAmong(std::span<const uint32_t> among);
    // Deals a turn among the eligible; size() when there is none.
    size_t turnAmongEligible(const Tried& tried);

  private:
    void weigh(Instant now);
    size_t goOn(size_t chosen) {
        next_ = chosen + 1 < size() ? chosen + 1 : 0;
        return chosen;
    }

    const PoolView* pool_ = nullptr;
    std::vector<uint32_t> places_;  // indices into the pool's backends
    std::vector<uint32_t> slots_;
    std::vector<int32_t> weights_;
    std::vector<int32_t> credits_;
    int32_t total_ = 0;
    bool equal_ = true;  // all weights are; then whose turn it is counts, not the credits
    size_t next_ = 0;
    double scale_ = 1;  // parts of a weight of one
    Instant next_refresh_ = Instant::max();
};

}  // namespace regrow
