#include "base/event_loop.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <optional>
#include <thread>

#include "base/unique_fd.h"
#include "tests/support/control_loop.h"

using namespace regrow;
using namespace std::chrono_literals;

namespace {

struct Pipe {
    UniqueFd read;
    UniqueFd write;
    Pipe() {
        int fds[2];
        REQUIRE(::pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
        read.reset(fds[0]);
        write.reset(fds[1]);
    }
    void say() const { REQUIRE(::write(write.get(), "x", 1) == 1); }
    void take() const {
        char byte = 0;
        REQUIRE(::read(read.get(), &byte, 1) == 1);
    }
};

}  // namespace

TEST_CASE("posts of many threads all run, each thread's in order, on the owner", "[event_loop]") {
    test::ControlLoop control;
    constexpr int kThreads = 4;
    constexpr int kEach = 2000;
    std::vector<std::vector<int>> seen(kThreads);
    std::atomic<bool> elsewhere{false};
    int count = 0;
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < kEach; ++i)
                control.loop().post([&, t, i] {
                    if (!control.loop().isInLoop()) elsewhere = true;
                    seen[static_cast<size_t>(t)].push_back(i);
                    ++count;
                });
        });
    REQUIRE(control.until([&] { return count == kThreads * kEach; }));
    CHECK_FALSE(elsewhere);
    for (const auto& one : seen) CHECK(std::ranges::is_sorted(one));
}

TEST_CASE("a task posted by a task runs in a later turn", "[event_loop]") {
    test::ControlLoop control;
    int turn = 0;
    std::optional<int> inner;
    int outer = -1;
    control.loop().post([&] {
        outer = turn;
        control.loop().post([&] { inner = turn; });
    });
    control.loop().post([&] { ++turn; });
    REQUIRE(control.untilSet(inner));
    CHECK(outer == 0);
    CHECK(inner == 1);
}

TEST_CASE("stop from another thread ends the loop after what was posted before", "[event_loop]") {
    EventLoop loop;
    bool ran = false;
    std::jthread other([&] {
        loop.post([&] { ran = true; });
        loop.stop();
    });
    loop.run();
    CHECK(ran);
}

TEST_CASE("after_turn runs once a turn, after its callbacks", "[event_loop]") {
    EventLoop loop;
    int callbacks = 0;
    std::vector<int> at;
    loop.post([&] { ++callbacks; });
    loop.post([&] { ++callbacks; });
    loop.run([&] {
        at.push_back(callbacks);
        if (at.size() == 1) loop.stop();
    });
    CHECK(at == std::vector<int>{2, 2});
}

TEST_CASE("tasks never run are destroyed with the loop", "[event_loop]") {
    const auto held = std::make_shared<int>(1);
    {
        EventLoop loop;
        loop.post([held] {});
        CHECK(held.use_count() == 2);
    }
    CHECK(held.use_count() == 1);
}

TEST_CASE("a timer armed again in its callback goes on; arming moves it", "[event_loop]") {
    test::ControlLoop control;
    int fired = 0;
    std::optional<Timer> timer;
    timer.emplace(control.loop(), [&] {
        if (++fired < 3) timer->after(1ms);
    });
    timer->after(1h);
    timer->after(1ms);
    REQUIRE(control.until([&] { return fired == 3; }));
    CHECK_FALSE(timer->armed());
}

TEST_CASE("a periodic timer ends when cancelled in its callback", "[event_loop]") {
    test::ControlLoop control;
    int fired = 0;
    int others = 0;
    Timer timer(control.loop(), [&] {
        if (++fired == 2) timer.cancel();
    });
    Timer witness(control.loop(), [&] { ++others; });
    timer.every(1ms);
    witness.every(1ms);
    REQUIRE(control.until([&] { return others >= 10; }));
    CHECK(fired == 2);
    CHECK_FALSE(timer.armed());
}

TEST_CASE("a timer may be destroyed, or replaced, in its own callback", "[event_loop]") {
    test::ControlLoop control;
    std::optional<Timer> timer;
    int fired = 0;
    int second = 0;
    const auto captured = std::make_shared<int>(0);
    timer.emplace(control.loop(), [&, captured] {
        ++fired;
        timer.emplace(control.loop(), [&] {
            ++second;
            timer.reset();
        });
        timer->every(1ms);
        *captured = 1;  // the callback itself is still there
    });
    timer->every(1ms);
    REQUIRE(control.until([&] { return second == 1; }));
    CHECK(fired == 1);
    CHECK(captured.use_count() == 1);
    CHECK_FALSE(timer);
}

TEST_CASE("a timer destroyed by another one's callback of the same turn does not fire",
          "[event_loop]") {
    test::ControlLoop control;
    std::optional<Timer> a;
    std::optional<Timer> b;
    int fired = 0;
    a.emplace(control.loop(), [&] { ++fired, b.reset(); });
    b.emplace(control.loop(), [&] { ++fired, a.reset(); });
    a->after(0ms);
    b->after(0ms);
    bool later = false;
    Timer after(control.loop(), [&] { later = true; });
    after.after(5ms);
    REQUIRE(control.until([&] { return later; }));
    CHECK(fired == 1);
}

TEST_CASE("a moved timer goes on under its new name", "[event_loop]") {
    test::ControlLoop control;
    bool fired = false;
    Timer first(control.loop(), [&] { fired = true; });
    first.after(1ms);
    Timer second = std::move(first);
    CHECK(second.armed());
    CHECK_FALSE(Timer().armed());
    REQUIRE(control.until([&] { return fired; }));
}

TEST_CASE("a watched descriptor is told while it is readable", "[event_loop]") {
    test::ControlLoop control;
    const Pipe pipe;
    int told = 0;
    short events = 0;
    FdWatch watch(control.loop(), pipe.read.get(), EV_READ, [&](short fired) {
        events = fired;
        if (++told == 3) pipe.take();
    });
    pipe.say();
    REQUIRE(control.until([&] { return told >= 3; }));
    CHECK(events == EV_READ);
    CHECK(told == 3);
    watch.cancel();
    pipe.say();
    bool later = false;
    Timer after(control.loop(), [&] { later = true; });
    after.after(5ms);
    REQUIRE(control.until([&] { return later; }));
    CHECK(told == 3);
}

TEST_CASE("within a watch's callback its descriptor may be closed and the number watched anew",
          "[event_loop]") {
    test::ControlLoop control;
    std::optional<Pipe> first(std::in_place);
    std::optional<Pipe> second;
    bool told = false;
    FdWatch watch;
    watch = FdWatch(control.loop(), first->read.get(), EV_READ, [&](short) {
        watch.cancel();
        first.reset();
        second.emplace();  // the kernel gives the same numbers
        watch = FdWatch(control.loop(), second->read.get(), EV_READ, [&](short) {
            told = true;
            watch.cancel();
        });
        second->say();
    });
    const int number = first->read.get();
    first->say();
    REQUIRE(control.until([&] { return told; }));
    CHECK(second->read.get() == number);
}

TEST_CASE("a watch may be destroyed by the callback of another one", "[event_loop]") {
    test::ControlLoop control;
    const Pipe a;
    const Pipe b;
    std::optional<FdWatch> on_a;
    std::optional<FdWatch> on_b;
    int told = 0;
    on_a.emplace(control.loop(), a.read.get(), EV_READ,
                 [&](short) { ++told, on_b.reset(), on_a.reset(); });
    on_b.emplace(control.loop(), b.read.get(), EV_READ,
                 [&](short) { ++told, on_a.reset(), on_b.reset(); });
    a.say();
    b.say();
    REQUIRE(control.until([&] { return told > 0; }));
    bool later = false;
    Timer after(control.loop(), [&] { later = true; });
    after.after(2ms);
    REQUIRE(control.until([&] { return later; }));
    CHECK(told == 1);
}
