#include "base/event_loop.h"

#include <event2/thread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cassert>
#include <cstdint>
#include <cstdlib>

namespace regrow {
namespace {

timeval toTimeval(Duration d) {
    const auto us =
        std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(d).count());
    return {static_cast<time_t>(us / 1'000'000), static_cast<suseconds_t>(us % 1'000'000)};
}

}  // namespace

EventLoop::EventLoop() {
    // The loop needs no locks: cross-thread work goes through post(), which wakes it by eventfd.
    std::unique_ptr<event_config, decltype(&event_config_free)> config(event_config_new(),
                                                                       event_config_free);
    event_config_set_flag(config.get(), EVENT_BASE_FLAG_NOLOCK);
    base_.reset(event_base_new_with_config(config.get()));
    wakeup_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!base_ || wakeup_fd_ < 0) std::abort();  // out of descriptors at start: nothing can be done
    wakeup_.reset(event_new(
        base_.get(), wakeup_fd_, EV_READ | EV_PERSIST,
        [](evutil_socket_t fd, short, void* self) {
            uint64_t count = 0;
            [[maybe_unused]] const ssize_t n = ::read(fd, &count, sizeof count);
            static_cast<EventLoop*>(self)->runPosted();
        },
        this));
    event_add(wakeup_.get(), nullptr);
}

EventLoop::~EventLoop() {
    wakeup_.reset();
    ::close(wakeup_fd_);
}

void EventLoop::run() {
    owner_ = std::this_thread::get_id();
    refreshNow();
    event_base_loop(base_.get(), EVLOOP_NO_EXIT_ON_EMPTY);
}

void EventLoop::run(Task after_turn) {
    owner_ = std::this_thread::get_id();
    refreshNow();
    do {
        event_base_loop(base_.get(), EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
        after_turn();
    } while (!event_base_got_break(base_.get()));
}

void EventLoop::stop() {
    post([this] { event_base_loopbreak(base_.get()); });
}

void EventLoop::post(Task task) {
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        first = posted_.empty();
        posted_.push_back(std::move(task));
    }
    if (!first) return;  // a wake-up is already under way
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(wakeup_fd_, &one, sizeof one);
}

void EventLoop::runPosted() {
    refreshNow();
    std::vector<Task> batch;
    {
        const std::lock_guard lock(mutex_);
        batch.swap(posted_);
    }
    for (auto& task : batch) task();
}

void EventLoop::assertInLoop() const {
    assert(isInLoop());
}

bool EventLoop::isInLoop() const {
    return owner_ == std::thread::id() || owner_ == std::this_thread::get_id();
}

void EventLoop::refreshNow() {
    now_ = Mono::now();
}

// libevent's event is freed by the last of: the owner, or a callback in progress (which holds a
// reference).
struct Timer::Impl {
    EventLoop& loop;
    std::move_only_function<void()> callback;
    event* ev = nullptr;
    std::weak_ptr<Impl> self;

    Impl(EventLoop& l, std::move_only_function<void()> c) : loop(l), callback(std::move(c)) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() {
        if (ev) event_free(ev);
    }
    void arm(Duration delay, bool periodic) {
        if (ev) event_free(ev);
        ev = event_new(
            loop.base(), -1, periodic ? EV_PERSIST : 0,
            [](evutil_socket_t, short, void* raw) {
                const std::shared_ptr<Impl> keep = static_cast<Impl*>(raw)->self.lock();
                keep->loop.refreshNow();
                keep->callback();
            },
            this);
        const timeval tv = toTimeval(delay);
        event_add(ev, &tv);
    }
};

Timer::Timer(EventLoop& loop, std::move_only_function<void()> callback)
    : impl_(std::make_shared<Impl>(loop, std::move(callback))) {
    impl_->self = impl_;
}

void Timer::after(Duration delay) {
    impl_->arm(delay, false);
}
void Timer::every(Duration period) {
    impl_->arm(period, true);
}
void Timer::cancel() {
    if (impl_ && impl_->ev) event_del(impl_->ev);
}
bool Timer::armed() const {
    return impl_ && impl_->ev && event_pending(impl_->ev, EV_TIMEOUT, nullptr);
}

struct FdWatch::Impl {
    EventLoop& loop;
    std::move_only_function<void(short)> callback;
    event* ev = nullptr;
    std::weak_ptr<Impl> self;

    Impl(EventLoop& l, std::move_only_function<void(short)> c) : loop(l), callback(std::move(c)) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() {
        if (ev) event_free(ev);
    }
};

FdWatch::FdWatch(EventLoop& loop, int fd, short events,
                 std::move_only_function<void(short)> callback)
    : impl_(std::make_shared<Impl>(loop, std::move(callback))) {
    impl_->self = impl_;
    impl_->ev = event_new(
        loop.base(), fd, static_cast<short>(events | EV_PERSIST),
        [](evutil_socket_t, short fired, void* raw) {
            const std::shared_ptr<Impl> keep = static_cast<Impl*>(raw)->self.lock();
            keep->loop.refreshNow();
            keep->callback(fired);
        },
        impl_.get());
    event_add(impl_->ev, nullptr);
}

FdWatch& FdWatch::operator=(FdWatch&& other) noexcept {
    if (this != &other) {
        cancel();
        impl_ = std::move(other.impl_);
    }
    return *this;
}

// Deleted now, not when the callback under way lets go of it: the descriptor may be closed and its
// number watched anew before that, and libevent would take the two for one that the kernel watches
// already.
void FdWatch::cancel() {
    if (impl_ && impl_->ev) event_del(impl_->ev);
    impl_.reset();
}

}  // namespace regrow
