#include "proxy/serve/worker_pool.h"

#include <algorithm>
#include <map>

#include "proxy/serve/worker.h"

namespace regrow::serve {
namespace {

constexpr size_t kCheckers = 2;  // threads

// Runs `then` on the control loop once `count` workers have called arrive().
class Gathering : public std::enable_shared_from_this<Gathering> {
  public:
    // Nothing runs once `alive` is gone.
    Gathering(EventLoop& control, size_t count, std::weak_ptr<void> alive,
              std::move_only_function<void()> then)
        : control_(control), missing_(count), alive_(std::move(alive)), then_(std::move(then)) {}
    // Any thread.
    void arrive() {
        control_.post([self = shared_from_this()] {
            const auto alive = self->alive_.lock();
            if (--self->missing_ == 0 && alive && self->then_)
                std::exchange(self->then_, nullptr)();
        });
    }

  private:
    EventLoop& control_;
    size_t missing_;  // control's
    std::weak_ptr<void> alive_;
    std::move_only_function<void()> then_;
};

}  // namespace

struct WorkerPool::Impl {
    Impl(EventLoop& loop, OnObservations on)
        : control(loop), on_observations(std::make_shared<OnObservations>(std::move(on))) {}

    EventLoop& control;
    std::shared_ptr<OnObservations> on_observations;
    SocketCount sockets;
    std::vector<std::unique_ptr<Worker>> workers;
    PasswordCheckers checkers{kCheckers};  // ends before the workers that it answers
    std::map<uint32_t, std::shared_ptr<net::ListenSockets>> listeners;
    uint32_t next_listener = 0;
    bool started = false;
    Timer drain_deadline;

    // Runs `task` on each worker, then `then` on control.
    void onAll(const std::function<void(Worker&)>& task, std::move_only_function<void()> then) {
        const auto gathering =
            std::make_shared<Gathering>(control, workers.size(), on_observations, std::move(then));
        for (auto& worker : workers)
            worker->post([w = worker.get(), task, gathering] {
                task(*w);
                gathering->arrive();
            });
    }
};

WorkerPool::WorkerPool(EventLoop& control, const WorkerPoolOptions& options,
                       OnObservations on_observations)
    : impl_(new Impl(control, std::move(on_observations))) {
    // Observations that arrive after the pool is gone find nobody.
    const Observer::Deliver deliver =
        [to = std::weak_ptr(impl_->on_observations)](std::vector<Observation> seen) {
            if (const auto receiver = to.lock()) (*receiver)(std::move(seen));
        };
    for (int i = 0; i < options.workers; ++i)
        impl_->workers.push_back(
            std::make_unique<Worker>(Worker::Options{.index = i,
                                                     .count = options.workers,
                                                     .access_log_path = options.access_log_path,
                                                     .access_log_json = options.access_log_json,
                                                     .proxy_name = options.proxy_name,
                                                     .sockets = &impl_->sockets,
                                                     .checkers = &impl_->checkers},
                                     control, deliver));
}

WorkerPool::~WorkerPool() {
    for (auto& worker : impl_->workers) worker->stop();
}

Result<uint32_t> WorkerPool::listen(const Address& address, int unix_mode) {
    REGROW_TRY(net::ListenSockets opened, net::ListenSockets::open(address, workers(), unix_mode));
    auto sockets = std::make_shared<net::ListenSockets>(std::move(opened));
    const uint32_t slot = impl_->next_listener++;
    impl_->listeners[slot] = sockets;
    for (auto& worker : impl_->workers) {
        const int fd = sockets->fd(worker->index());
        if (impl_->started)
            worker->post([w = worker.get(), slot, fd, sockets] { w->addListener(slot, fd); });
        else
            worker->addListener(slot, fd);
    }
    return slot;
}

Address WorkerPool::boundAddress(uint32_t listener_slot) const {
    const auto it = impl_->listeners.find(listener_slot);
    return it == impl_->listeners.end() ? Address() : it->second->address();
}

void WorkerPool::unlisten(uint32_t listener_slot) {
    const auto it = impl_->listeners.find(listener_slot);
    if (it == impl_->listeners.end()) return;
    auto sockets = std::move(it->second);
    impl_->listeners.erase(it);
    // Closed when the last worker has emptied its backlog.
    impl_->onAll([listener_slot](Worker& w) { w.removeListener(listener_slot); },
                 [sockets] { sockets->close(); });
}

void WorkerPool::start(const std::shared_ptr<const View>& view) {
    impl_->started = true;
    for (auto& worker : impl_->workers) worker->start(view);
}

void WorkerPool::publish(std::shared_ptr<const View> view,
                         std::move_only_function<void()> acknowledged) {
    impl_->onAll([view = std::move(view)](Worker& w) { w.applyView(view); },
                 std::move(acknowledged));
}

void WorkerPool::drain(Duration deadline, std::move_only_function<void()> done) {
    const auto gathering =
        std::make_shared<Gathering>(impl_->control, impl_->workers.size(), impl_->on_observations,
                                    [this, done = std::move(done)]() mutable {
                                        impl_->drain_deadline.cancel();
                                        for (auto& [slot, sockets] : impl_->listeners)
                                            sockets->close();
                                        done();
                                    });
    for (auto& worker : impl_->workers)
        worker->post(
            [w = worker.get(), gathering] { w->drain([gathering] { gathering->arrive(); }); });
    impl_->drain_deadline = Timer(impl_->control, [this] {
        for (auto& worker : impl_->workers) worker->post([w = worker.get()] { w->closeAll(); });
    });
    impl_->drain_deadline.after(deadline);
}

void WorkerPool::reopenAccessLog() {
    for (auto& worker : impl_->workers)
        worker->post([w = worker.get()] {
            if (w->access_log.on()) w->access_log.reopen();
        });
}

int WorkerPool::workers() const {
    return static_cast<int>(impl_->workers.size());
}

}  // namespace regrow::serve
