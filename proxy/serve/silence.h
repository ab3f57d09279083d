#pragma once

#include <algorithm>
#include <utility>

#include "proxy/serve/latency_sketch.h"

namespace regrow::serve {

// What one worker hears of one backend: whether requests that it has in full go unanswered for
// longer than it ever takes. A stopped process still has its kernel accept connections and data, so
// silence is all there is to see. Pure but for its fields; updated with each request, judged on the
// worker's tick.
class Silence {
  public:
    static constexpr uint32_t kSeveral = 2;  // a single request may just be a slow one
    static constexpr uint32_t kEnough = 32;  // answers that make a p99 worth something
    static constexpr int kTimes = 3;         // its p99
    static constexpr Duration kLeast = std::chrono::milliseconds(50);

    void asked(Instant now) {
        if (out_++ == 0) since_ = now;
    }
    void left() { --out_; }  // given up on, or answered
    // What it answers after having been silent says nothing of how long it usually takes.
    void answered(Duration latency, Instant now) {
        since_ = heard_ = now;
        if (!std::exchange(stalled_, false)) usual_.record(latency);
    }
    void heard(Instant now) {  // an interim answer
        since_ = heard_ = now;
        stalled_ = false;
    }
    // `others`: when another backend of the pool last answered; `usual`: what the pool's answers
    // take, for a backend that gave few.
    bool silent(Instant now, Instant others, const LatencySketch& usual) const {
        if (out_ < kSeveral || now - since_ < kLeast || others <= since_) return false;
        const LatencySketch& known = usual_.samples() >= kEnough ? usual_ : usual;
        if (known.samples() < kEnough) return false;
        return now - since_ >= std::max<Duration>(kLeast, kTimes * known.quantile(0.99));
    }

    void stall() { stalled_ = true; }
    void trust(Instant now) { stalled_ = false, since_ = now; }
    bool stalled() const { return stalled_; }
    uint32_t out() const { return out_; }
    Instant lastHeard() const { return heard_; }
    void replaced() { stalled_ = false, usual_.clear(); }  // by another server

  private:
    uint32_t out_ = 0;  // requests it has in full and has not answered
    bool stalled_ = false;
    Instant since_{};  // it last answered, or the first of those was sent
    Instant heard_{};
    LatencySketch usual_;
};

}  // namespace regrow::serve
