#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "proxy/serve/observation.h"

namespace regrow::serve {

// Carries what a worker saw of backends to control: what happened in one turn as one post, equal
// things added up. The first failure leaves with the turn that saw it; a storm of them at most
// every kPace. Success is nobody's news unless a failure came before it (the caller knows).
// Worker's thread.
class Observer {
  public:
    // Called on the control loop.
    using Deliver = std::function<void(std::vector<Observation>)>;
    Observer(EventLoop& control, Deliver deliver)
        : control_(control), deliver_(std::move(deliver)) {}

    void see(uint32_t backend_slot, uint64_t epoch, Observation::Kind kind,
             std::string_view detail);
    bool pending() const { return !seen_.empty(); }
    void flush(Instant now);  // at the end of each turn

  private:
    static constexpr Duration kPace = std::chrono::milliseconds(5);

    EventLoop& control_;
    Deliver deliver_;
    std::vector<Observation> seen_;
    Instant flushed_{};
};

}  // namespace regrow::serve
