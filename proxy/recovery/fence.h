#pragma once

#include <optional>
#include <string>

#include "conf/config.h"
#include "proxy/recovery/hooks.h"
#include "proxy/recovery/supervisor.h"

// Making sure that an old server is gone, and saying honestly when nobody can tell.
//
//   supervised         its whole tree is killed until /proc shows nobody: that is proof
//   foreign            `stop`, then `status` must say not running: that is proof
//   a `fence` hook     runs at the same time (cutting power, moving an address); its exit 0 is
//   proof also where there
//                      is nothing else, its failure makes the fence fail: the operator wanted what
//                      it does
//   nothing of these   unfenced: the machine decides whether to hold or to proceed
//
// (The proxy itself stops sending to the old address before; that is the workers' part, not this
// one's.) Control loop only.
namespace regrow::recovery {

struct FenceOutcome {
    bool fenced = false;
    std::string
        detail;  // fenced: what is the proof; else: why nobody can say that the old server is gone
};

struct FenceRequest {
    ServerSpec server;
    std::optional<conf::Hook> hook;
    HookContext context;
    Duration deadline = std::chrono::seconds(6);  // for all of it, the hook's own timeout within
};

// on_done is called exactly once, from the loop. Destroying the handle forgets the outcome; a kill
// under way goes on.
Handle fence(EventLoop& loop, Supervisor& supervisor, FenceRequest request,
             std::move_only_function<void(FenceOutcome)> on_done);

}  // namespace regrow::recovery
