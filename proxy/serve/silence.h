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
        if (++out_ + outrun_ == kSeveral) since_ = now;
    }
    void left() {  // given up on, or answered
        if (--out_ == 0) outrun_ = 0;
    }
    // Given up on because another backend was faster. It goes on to count while something is out:
    // hedging takes every request away before a silence could be told by those that wait.
    void outrun() { ++outrun_, left(); }
    // What it answers after having been silent says nothing of how long it usually takes.
    void answered(Duration latency, Instant now) {
        if (!stalled_) usual_.record(latency);
        heard(now);
    }
    void heard(Instant now) {  // of it: an answer, or an interim one
        since_ = heard_ = now;
        outrun_ = 0;
        stalled_ = false;
    }
    // `others`: when another backend of the pool last answered; `usual`: what the pool's answers
    // take, for a backend that gave few.
    bool silent(Instant now, Instant others, const LatencySketch& usual) const {
        if (unanswered() < kSeveral || now - since_ < kLeast || others <= since_) return false;
        const LatencySketch& known = usual_.samples() >= kEnough ? usual_ : usual;
        if (known.samples() < kEnough) return false;
        return now - since_ >= std::max<Duration>(kLeast, kTimes * known.quantile(0.99));
    }

    void stall() { stalled_ = true; }
    void trust(Instant now) { stalled_ = false, outrun_ = 0, since_ = now; }
    bool stalled() const { return stalled_; }
    uint32_t out() const { return out_; }
    uint32_t unanswered() const { return out_ + outrun_; }
    Instant lastHeard() const { return heard_; }
    void replaced() { stalled_ = false, usual_.clear(); }  // by another server

  private:
    uint32_t out_ = 0;     // requests it has in full and has not answered
    uint32_t outrun_ = 0;  // and those it has not answered before another did
    bool stalled_ = false;
    Instant since_{};  // it last answered, or came to owe several
    Instant heard_{};
    LatencySketch usual_;
};

}  // namespace regrow::serve
