#pragma once

#include <chrono>

namespace regrow {

// Every timer and deadline is monotonic; the wall clock appears in reports and snapshot times only.
using Mono = std::chrono::steady_clock;
using Instant = Mono::time_point;
using Duration = Mono::duration;
using Wall = std::chrono::system_clock;
using WallTime = Wall::time_point;

// The seam that lets tests and the simulator move time by hand. Any thread.
class Clock {
  public:
    virtual ~Clock() = default;
    virtual Instant now() const = 0;
    virtual WallTime wallNow() const = 0;
};

class SystemClock final : public Clock {
  public:
    Instant now() const override { return Mono::now(); }
    WallTime wallNow() const override { return Wall::now(); }
};

// Stands still until told. Starts at an arbitrary, fixed instant.
class ManualClock final : public Clock {
  public:
    Instant now() const override { return now_; }
    WallTime wallNow() const override { return wall_; }
    void advance(Duration by) {
        now_ += by;
        wall_ += std::chrono::duration_cast<Wall::duration>(by);
    }
    void setWall(WallTime wall) { wall_ = wall; }

  private:
    Instant now_{std::chrono::hours(1)};
    WallTime wall_{std::chrono::seconds(1'700'000'000)};
};

inline double toMs(Duration d) {
    return std::chrono::duration<double, std::milli>(d).count();
}
inline double toSeconds(Duration d) {
    return std::chrono::duration<double>(d).count();
}

}  // namespace regrow
