#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "base/event_loop.h"

namespace regrow::test {

// An event loop that a test drives from condition to condition: no sleeps, and nothing waits for
// ever.
class ControlLoop {
  public:
    // True as soon as `condition` holds, looked at every millisecond; false after `limit`.
    bool until(const std::function<bool()>& condition, Duration limit = std::chrono::seconds(20)) {
        bool met = false;
        const Instant give_up = Mono::now() + limit;
        Timer look(loop_, [&] {
            met = condition();
            if (met || Mono::now() >= give_up) loop_.stop();
        });
        look.every(std::chrono::milliseconds(1));
        loop_.run();
        return met;
    }
    // Runs until `value` has been filled, by a callback.
    template <class T>
    bool untilSet(const std::optional<T>& value) {
        return until([&] { return value.has_value(); });
    }

    EventLoop& loop() { return loop_; }

  private:
    EventLoop loop_;
};

}  // namespace regrow::test
