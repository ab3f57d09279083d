// The second half of RecoveryActions: from restored data to a serving backend, and what surrounds
// it.
#include <algorithm>

#include "base/log.h"
#include "proxy/control/recovery_actions.h"

namespace regrow::control {
namespace {

using namespace std::chrono_literals;
using recovery::Command;

// Held requests enter a server that has just started at this pace: fast for people, slow enough for
// cold caches.
constexpr double kReleasePerSecond = 500;
constexpr Duration kStopGrace = 5s;

}  // namespace

recovery::HookContext RecoveryActions::hookContext(const Place& place,
                                                   const Command& command) const {
    recovery::HookContext context;
    context.pool = place.key.pool;
    context.backend = place.key.backend;
    context.recovery = command.recovery;
    context.epoch = command.epoch;
    context.lineage = command.lineage;
    if (const auto* old = server(place, command.old_server)) {
        context.old_data = old->data;
        context.old_address = old->address.text();
    }
    if (const auto* spare = server(place, command.spare)) {
        context.server = place.key.pool + "/" + spare->name;
        context.data = spare->data;
        context.address = spare->address.text();
        context.staging = recovery::stagingPath(spare->data, command.recovery);
    }
    if (command.snapshot) {
        context.snapshot = command.snapshot->id;
        context.snapshot_time = command.snapshot->captured;
    }
    if (place.recovery)
        context.reason = place.recovery->evidence.empty() ? place.recovery->reason
                                                          : place.recovery->evidence.front();
    return context;
}

void RecoveryActions::runHook(Place& place, const Command& command, const std::string& step,
                              const std::optional<conf::Hook>& hook) {
    const Ask ask{place.key, command.step};
    if (!hook) return answer(ask, recovery::HookDone{});
    keep(ask, p_.steps.hook(step, *hook, hookContext(place, command),
                            [this, ask](Result<std::string> ran) {
                                if (ran)
                                    answer(ask, recovery::HookDone{});
                                else
                                    answer(ask, recovery::HookFailed{ran.error().message});
                            }));
}

// Nothing is started on data that does not carry READY of this very recovery and epoch.
void RecoveryActions::startService(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    const auto* const spare = server(place, command.spare);
    if (!spare)
        return answer(ask,
                      recovery::StartFailed{"the configuration no longer has " + command.spare});
    if (spare->data.empty() || !p_.registry.poolOf(place).conf.backup.on)
        return startReady(ask, command);
    keep(ask,
         p_.steps.inspect({spare->data, place.name()}, [this, ask, command](
                                                           Result<recovery::InspectResult> seen) {
             if (!seen) return answer(ask, recovery::StartFailed{seen.error().message});
             if (seen->ready_recovery != command.recovery || seen->ready_epoch != command.epoch)
                 return answer(ask, recovery::StartFailed{"its data is not READY for recovery " +
                                                          command.recovery});
             startReady(ask, command);
         }));
}

void RecoveryActions::startReady(const Ask& ask, const Command& command) {
    Place* const place = placeOf(ask);
    const auto* const spare = place ? server(*place, command.spare) : nullptr;
    if (!spare) return;
    if (!spare->service.supervised() && !spare->service.foreign())
        return answer(ask, recovery::ServiceStarted{});  // it runs already
    const auto spec = p_.registry.spec(ask.key.pool, *spare);
    p_.servers.supervisor().kill(spec, [this, ask, command](Result<std::string>) {
        Place* const found = placeOf(ask);
        const auto* const again = found ? server(*found, command.spare) : nullptr;
        if (!again) return;
        p_.servers.start(ask.key.pool, *again, command.epoch,
                         [this, ask](Result<ProcessId> started) {
                             if (started)
                                 answer(ask, recovery::ServiceStarted{});
                             else
                                 answer(ask, recovery::StartFailed{started.error().message});
                         });
    });
}

void RecoveryActions::watchChecks(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    const auto* const spare = server(place, command.spare);
    if (!spare)
        return answer(ask, recovery::ChecksBad{"the configuration no longer has " + command.spare});
    p_.health.watchReplacement(place, *spare, [this, ask](bool good, const std::string& text) {
        if (good)
            answer(ask, recovery::ChecksGood{});
        else
            answer(ask, recovery::ChecksBad{text});
    });
}

void RecoveryActions::stopReplacement(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    p_.health.stopWatching(place);
    const auto* const spare = server(place, command.spare);
    if (!spare) return answer(ask, recovery::ReplacementStopped{});
    p_.servers.supervisor().stop(p_.registry.spec(place.key.pool, *spare), kStopGrace,
                                 [this, ask](Result<std::string> stopped) {
                                     if (stopped)
                                         answer(ask, recovery::ReplacementStopped{});
                                     else
                                         answer(ask, recovery::StopFailed{stopped.error().message});
                                 });
}

// Its data is marked with the new epoch before it gets a request: captures compare. Without an
// answer the machine asks again.
void RecoveryActions::reinstate(Place& place, const Command& command) {
    const auto* const old = server(place, command.old_server);
    if (!old || old->data.empty() || !p_.registry.poolOf(place).conf.backup.on)
        return publishServing(place, command);
    const Ask ask{place.key, command.step};
    keep(ask, p_.steps.raiseEpoch(
                  {old->data, place.name(), p_.registry.assignment(place).lineage, command.epoch},
                  [this, ask, command](Result<> raised) {
                      Place* const found = placeOf(ask);
                      if (!found) return;
                      if (raised) return publishServing(*found, command);
                      log::error("recovery " + found->name(), "{}", raised.error().message);
                  }));
}

void RecoveryActions::publishServing(Place& place, const Command& command) {
    place.fenced = place.data_in_doubt = place.waits_for_repository = false;
    place.marked = true;
    place.exited_at.reset();
    p_.registry.poolOf(place).beginRamp(place, p_.loop.now());
    place.release_per_second = kReleasePerSecond;
    p_.health.serverFillsPlace(place);
    p_.views.publishNow([this, ask = Ask{place.key, command.step}] {
        answer(ask, recovery::WorkersAcknowledged{});
    });
}

void RecoveryActions::releaseHeld(Place& place, const Command& command) {
    place.release_per_second = kReleasePerSecond;
    p_.views.changed();
    waitReleased({place.key, command.step});
}

void RecoveryActions::waitReleased(const Ask& ask) {
    Place* const place = placeOf(ask);
    if (!place) return;
    if (p_.registry.poolOf(*place).stats->waiting.load(std::memory_order_relaxed) <= 0) {
        place->release_per_second = 0;
        p_.views.changed();
        return answer(ask, recovery::HeldReleased{});
    }
    auto& timer = timers_[ask.key][ask.step];
    timer = Timer(p_.loop, [this, ask] { waitReleased(ask); });
    timer.after(10ms);
}

void RecoveryActions::ramp(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    const auto left = place.ramp_from + place.ramp - p_.loop.now();
    if (left <= Duration{}) return answer(ask, recovery::RampDone{});
    auto& timer = timers_[ask.key][ask.step];
    timer = Timer(p_.loop, [this, ask] { answer(ask, recovery::RampDone{}); });
    timer.after(left);
}

void RecoveryActions::takeFirstSnapshot(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    // It serves: from here on its health is the place's, and its death a death like any other.
    p_.health.stopWatching(place);
    p_.health.speakUp(place);
    const auto* const filling = p_.registry.filling(place);
    if (!filling || !p_.registry.poolOf(place).conf.backup.on)
        return answer(
            ask, recovery::SnapshotFailed{"pool " + place.key.pool + " has no backup section"});
    const auto assignment = p_.registry.assignment(place);
    keep(ask, p_.backups.capture(
                  place, *filling, assignment.epoch, assignment.lineage, false,
                  [](const recovery::Progress&) {},
                  [this, ask](Result<recovery::SnapshotInfo> taken) {
                      if (taken)
                          answer(ask, recovery::SnapshotTaken{refOf(*taken)});
                      else
                          answer(ask, recovery::SnapshotFailed{taken.error().message});
                  }));
}

void RecoveryActions::afterwards(Place& place, const Command& command) {
    const auto& conf = p_.registry.poolOf(place).conf.recovery;
    const bool after = command.action == recovery::Action::run_after_hook;
    std::vector<conf::Hook> hooks;
    if (after && conf.after) hooks.push_back(*conf.after);
    if (!after)
        for (const auto& argv : conf.notify) hooks.push_back({argv, 30s});
    if (!after && command.alarm)
        p_.events.add(place.key.pool, place.key.backend, "alarm", command.text,
                      {{"recovery", command.recovery}});
    auto context = hookContext(place, command);
    if (place.recovery)
        context.result = recovery::terminal(place.recovery->state)
                             ? recovery::resultName(*place.recovery)
                             : "held";
    if (!command.text.empty()) context.reason = command.text;
    for (const auto& hook : hooks) {
        const auto id = next_afterwards_++;
        afterwards_[id] =
            p_.steps.hook(after ? "after" : "notify", hook, context,
                          [this, id, name = place.name()](Result<std::string> ran) {
                              if (!ran)
                                  log::warn("recovery " + name, "hook: {}", ran.error().message);
                              const auto done = std::move(afterwards_[id]);
                              afterwards_.erase(id);
                          });
    }
}

void RecoveryActions::end(Place& place) {
    running_.erase(place.key);
    timers_.erase(place.key);
    place.release_per_second = 0;
    p_.health.stopWatching(place);
    const auto* const filling = p_.registry.filling(place);
    place.fenced = filling == nullptr;
    if (filling && place.health.verdict == health::Verdict::up) p_.backups.cameUp(place);
    p_.views.changed();
}

}  // namespace regrow::control
