#pragma once

#include <event2/event.h>

#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace regrow {

// A thread's event loop on libevent. Everything but post() and stop() belongs to the thread that
// runs it. Time is read once per turn: now() is the cached instant; deadlines here are in its
// terms.
//
// Callbacks must not block: what may be slow is a child process (base/child_process.h).
class EventLoop {
  public:
    using Task = std::move_only_function<void()>;

    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    // Runs until stop(). The calling thread becomes the owner.
    void run();
    // The same, and calls `after_turn` once all callbacks of a turn have run: for what is batched
    // per turn.
    void run(std::move_only_function<void()> after_turn);
    // Any thread; the loop ends after the current turn. Tasks posted before are still run by that
    // turn or by drain().
    void stop();

    // Any thread. Runs `task` on the owner in its next turn, in the order posted. May lock: it is
    // for control, not for requests. Tasks still queued when the loop is destroyed are destroyed
    // unrun.
    void post(Task task);

    // Owner only, or before run().
    void assertInLoop() const;
    bool isInLoop() const;
    Instant now() const { return now_; }
    // For code that registers raw libevent events of its own (the request path).
    event_base* base() const { return base_.get(); }
    // Called by raw libevent callbacks first thing, so that now() is this turn's time. Costs a
    // clock read at most once per turn: libevent caches it.
    void refreshNow();

  private:
    struct BaseDeleter {
        void operator()(event_base* b) const { event_base_free(b); }
    };
    struct EventDeleter {
        void operator()(event* e) const { event_free(e); }
    };

    void runPosted();

    std::unique_ptr<event_base, BaseDeleter> base_;
    std::unique_ptr<event, EventDeleter> wakeup_;
    int wakeup_fd_ = -1;
    Instant now_ = Mono::now();
    std::thread::id owner_;
    std::mutex mutex_;
    std::vector<Task> posted_;
};

// A one-shot or periodic timer. Cancelled when destroyed; destroying it inside its own callback is
// allowed.
class Timer {
  public:
    Timer() = default;
    Timer(EventLoop& loop, std::move_only_function<void()> callback);
    Timer(Timer&&) noexcept = default;
    Timer& operator=(Timer&&) noexcept = default;

    void after(Duration delay);   // one shot; arming again moves it
    void every(Duration period);  // first after one period
    void cancel();
    bool armed() const;

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

// Watches one descriptor it does not own (level-triggered, persistent). For control-plane
// descriptors: pidfds, pipes, eventfds.
class FdWatch {
  public:
    FdWatch() = default;
    // events: EV_READ and/or EV_WRITE; the callback gets those that fired.
    FdWatch(EventLoop& loop, int fd, short events, std::move_only_function<void(short)> callback);
    FdWatch(FdWatch&&) noexcept = default;
    FdWatch& operator=(FdWatch&&) noexcept;
    ~FdWatch() { cancel(); }
    // From here on the descriptor may be closed, also within the callback.
    void cancel();

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace regrow
