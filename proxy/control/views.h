#pragma once

#include <functional>
#include <memory>

#include "base/event_loop.h"
#include "proxy/balance/view.h"
#include "proxy/control/registry.h"

namespace regrow::control {

// Whether new requests may go to the place: its server is healthy, of the right epoch, and no
// operator took it out. While the pool panics (too many died at once) bad answers are better than
// none: those that still answer something are used.
bool accepting(const Registry& registry, const Place& place);

// The picture workers get. Pure.
std::shared_ptr<const View> buildView(const Registry& registry);

// Publishes views: at most one a loop turn, however many changes were made in it. Control loop
// only.
class ViewPublisher {
  public:
    using Acknowledged = std::move_only_function<void()>;
    // To the workers (serve::WorkerPool::publish).
    using Publish = std::function<void(std::shared_ptr<const View>, Acknowledged)>;

    ViewPublisher(EventLoop& loop, const Registry& registry, Publish publish);

    // Something a view shows has changed: published when this turn's work is done.
    void changed();
    // Published now; `acknowledged` once every worker has dropped what the view no longer allows.
    void publishNow(Acknowledged acknowledged);

  private:
    EventLoop& loop_;
    const Registry& registry_;
    Publish publish_;
    bool pending_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace regrow::control
