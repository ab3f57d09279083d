#include "proxy/recovery/fence.h"

#include <fmt/format.h>

#include "base/text.h"

namespace regrow::recovery {
namespace {

constexpr const char* kNobody =
    "unconfirmed: nobody can say that the old server is gone (it has no service.run, no status "
    "action and no fence hook)";

class Fence final : public Operation {
  public:
    Fence(EventLoop& loop, FenceRequest request, std::move_only_function<void(FenceOutcome)> done)
        : request_(std::move(request)),
          on_done_(std::move(done)),
          self_(std::make_shared<Fence*>(this)) {
        timer_ = Timer(loop, [this] { decide(); });
    }

    void begin(EventLoop& loop, Supervisor& supervisor) {
        const auto& service = request_.server.service;
        stoppable_ = service.supervised() || !service.stop.empty() || !service.status.empty();
        timer_.after(stoppable_ || request_.hook ? request_.deadline : Duration::zero());
        // Both at once: neither may cost the other its deadline.
        if (stoppable_) {
            supervisor.kill(request_.server,
                            [weak = std::weak_ptr(self_)](Result<std::string> result) {
                                if (const auto fence = weak.lock())
                                    (*fence)->ownEnded(std::move(result));
                            });
        }
        if (request_.hook) {
            conf::Hook hook = *request_.hook;
            hook.timeout = std::min(hook.timeout, request_.deadline);
            hook_ =
                runHook(loop, "fence", hook, request_.context, [this](Result<std::string> result) {
                    hook_result_ = std::move(result);
                    decideWhenAllEnded();
                });
        }
    }

  private:
    void ownEnded(Result<std::string> result) {
        own_result_ = std::move(result);
        decideWhenAllEnded();
    }

    void decideWhenAllEnded() {
        if (stoppable_ && !own_result_) return;
        if (request_.hook && !hook_result_) return;
        decide();
    }

    // A hook that failed is a fence that failed: the operator wanted what it does. One that
    // succeeded is the operator's word, also for a server that nobody here can see.
    void decide() {
        if (!on_done_) return;  // told already: the deadline and the last answer came in one turn
        timer_.cancel();
        auto callback = std::move(on_done_);
        callback(outcome());  // may destroy *this
    }

    FenceOutcome outcome() const {
        if (!stoppable_ && !request_.hook) return {false, kNobody};
        if (request_.hook && !hook_result_) return {false, late("the fence hook")};
        if (request_.hook && !*hook_result_) return {false, hook_result_->error().message};
        if (request_.hook)
            return {true, own_result_ && *own_result_ ? "the fence hook succeeded; " + **own_result_
                                                      : "the fence hook succeeded"};
        if (!own_result_) return {false, late("stopping " + request_.server.key)};
        if (!*own_result_) return {false, own_result_->error().message};
        return {true, **own_result_};
    }

    std::string late(const std::string& what) const {
        return fmt::format("{} did not end within {}", what, humanDuration(request_.deadline));
    }

    FenceRequest request_;
    std::move_only_function<void(FenceOutcome)> on_done_;
    std::shared_ptr<Fence*> self_;  // tells the supervisor's callback whether we are still here
    bool stoppable_ = false;
    std::optional<Result<std::string>> own_result_;
    std::optional<Result<std::string>> hook_result_;
    Handle hook_;
    Timer timer_;
};

}  // namespace

Handle fence(EventLoop& loop, Supervisor& supervisor, FenceRequest request,
             std::move_only_function<void(FenceOutcome)> on_done) {
    auto fence = std::make_unique<Fence>(loop, std::move(request), std::move(on_done));
    fence->begin(loop, supervisor);
    return fence;
}

}  // namespace regrow::recovery
