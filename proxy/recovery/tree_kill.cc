#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>

#include "base/text.h"
#include "proxy/recovery/process_tree.h"

namespace regrow::recovery {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFirstLook = 1ms;
constexpr Duration kLongestLook = 50ms;
constexpr int kFreezeRounds =
    10;  // a scan takes milliseconds: who is new ten times in a row does nothing but fork

// The course of a kill, told the time: what is done next, and when. It does not wait itself.
class KillCourse {
  public:
    KillCourse(TreeId id, Duration grace, Duration deadline, Instant now)
        : tree_(std::move(id)), started_(now), grace_ends_(now + grace), deadline_(deadline) {}

    void killNow() { grace_ends_ = started_; }

    // When to come again; nothing: it has ended, see report().
    std::optional<Duration> step(Instant now) {
        if (!kill_ends_) {
            if (now < grace_ends_) return ask();
            kill_ends_ = now + deadline_;
            look_ = kFirstLook;
        }
        return force(now);
    }

    KillReport report(Instant now) const {
        const auto& left = tree_.members();
        return {tree_.seen() - left.size(), left, now - started_};
    }

  private:
    std::optional<Duration> ask() {
        if (!sawSomebody()) return nextLookOrEnd();
        if (!asked_) {
            tree_.signal(SIGTERM);
            tree_.signal(SIGCONT);  // a stopped process would never hear it
            asked_ = true;
        }
        return later();
    }

    std::optional<Duration> force(Instant now) {
        if (!sawSomebody()) return nextLookOrEnd();
        if (now >= *kill_ends_) return std::nullopt;
        freeze();
        tree_.signal(SIGKILL);
        return later();
    }

    bool sawSomebody() {
        if (tree_.scan().empty()) {
            ++empty_scans_;
            return false;
        }
        empty_scans_ = 0;
        return true;
    }

    // One empty scan may have missed a fork that happened while it read.
    std::optional<Duration> nextLookOrEnd() const {
        if (empty_scans_ >= 2) return std::nullopt;
        return Duration(kFirstLook);
    }

    Duration later() {
        const Duration now = look_;
        look_ = std::min(2 * look_, Duration(kLongestLook));
        return now;
    }

    void freeze() {
        for (int round = 0; round < kFreezeRounds; ++round) {
            const size_t seen = tree_.seen();
            tree_.signal(SIGSTOP);
            tree_.scan();
            if (tree_.seen() == seen) return;
        }
    }

    ProcessTree tree_;
    Instant started_;
    Instant grace_ends_;
    Duration deadline_;
    std::optional<Instant> kill_ends_;
    Duration look_ = kFirstLook;
    int empty_scans_ = 0;
    bool asked_ = false;
};

}  // namespace

std::string KillReport::text() const {
    if (!empty()) {
        std::vector<std::string> names;
        names.reserve(left.size());
        for (const auto& process : left) names.push_back(process.text());
        return fmt::format("still there after {}: {}", humanDuration(took), fmt::join(names, ", "));
    }
    if (killed == 0) return "no process of it was left";
    return fmt::format("{} process{} ended within {}", killed, killed == 1 ? "" : "es",
                       humanDuration(took));
}

struct TreeKill::Impl {
    KillCourse course;
    OnEnd on_end;
    Timer timer;

    void step() {
        if (const auto wait = course.step(Mono::now())) return timer.after(*wait);
        auto callback = std::move(on_end);
        callback(course.report(Mono::now()));
    }
};

TreeKill::TreeKill(EventLoop& loop, TreeId id, Duration grace, Duration deadline, OnEnd on_end)
    : impl_(std::make_shared<Impl>(KillCourse(std::move(id), grace, deadline, Mono::now()),
                                   std::move(on_end), Timer())) {
    impl_->timer = Timer(loop, [weak = std::weak_ptr(impl_)] {
        if (const auto impl = weak.lock())
            impl->step();  // kept: the callback may destroy the TreeKill
    });
    impl_->timer.after(Duration::zero());
}

TreeKill::~TreeKill() = default;

void TreeKill::killNow() {
    impl_->course.killNow();
    impl_->timer.after(Duration::zero());
}

KillReport killTree(const TreeId& id, Duration grace, Duration deadline) {
    KillCourse course(id, grace, deadline, Mono::now());
    while (const auto wait = course.step(Mono::now()))
        ::poll(nullptr, 0,
               static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(*wait).count()));
    return course.report(Mono::now());
}

}  // namespace regrow::recovery
