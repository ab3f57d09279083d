#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "proxy/balance/view.h"
#include "proxy/serve/observation.h"

// All that the rest of the program sees of request handling: N share-nothing worker threads, each
// with its own event loop, its own SO_REUSEPORT socket per listener and its own upstream
// connections. Every method is for the control loop; every callback arrives on the control loop.
namespace regrow::serve {

struct WorkerPoolOptions {
    int workers = 1;
    std::string access_log_path = {};  // empty: off
    bool access_log_json = false;
    std::string proxy_name = "regrow";  // in Via
};

class WorkerPool {
  public:
    using OnObservations = std::move_only_function<void(std::vector<Observation>)>;
    WorkerPool(EventLoop& control, const WorkerPoolOptions& options,
               OnObservations on_observations);
    ~WorkerPool();  // stops and joins the threads; open connections are closed

    // One bound, listening socket per worker for `address`, which must not be served already. Says
    // who cannot have the port: a taken one is found by binding once without SO_REUSEPORT. For unix
    // paths one socket is shared. Port 0 is allowed; boundAddress() tells what it became. Returns
    // the listener's slot.
    Result<uint32_t> listen(const Address& address, int unix_mode = 0660);
    Address boundAddress(uint32_t listener_slot) const;
    void unlisten(uint32_t listener_slot);  // stops accepting; connections live on until idle

    // Workers begin to run and accept with this view.
    void start(const std::shared_ptr<const View>& view);
    // Each worker takes the view in its next turn. When a backend's epoch is higher than before (or
    // the place is gone) the worker first closes every connection to the old server, idle or not;
    // replayable exchanges go back to the hold queue outside the retry budget, others are answered
    // 502. `acknowledged` runs once all workers have done so.
    void publish(std::shared_ptr<const View> view, std::move_only_function<void()> acknowledged);

    // Stops accepting, lets exchanges under way end, closes idle connections; `done` when none is
    // left or at the deadline.
    void drain(Duration deadline, std::move_only_function<void()> done);
    void reopenAccessLog();  // after rotation (SIGUSR1)

    int workers() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace regrow::serve
