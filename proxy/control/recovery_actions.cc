#include "proxy/control/recovery_actions.h"

#include <algorithm>

#include "base/log.h"

namespace regrow::control {
namespace {

using namespace std::chrono_literals;
using recovery::Action;
using recovery::Command;

// The repository's own trouble, which may pass; damage does not.
template <class T>
bool away(const Result<T>& result) {
    return !result && result.error().source == Source::repository &&
           result.error().code != Code::corrupt;
}

recovery::RestoreFailed restoreFailure(const Error& error) {
    using Kind = recovery::RestoreFailed::Kind;
    Kind kind = Kind::other;
    if (error.code == Code::corrupt)
        kind = Kind::bad_chunk;
    else if (error.code == Code::no_space)
        kind = Kind::no_space;
    else if (error.source == Source::repository)
        kind = Kind::repository_down;
    else if (error.source == Source::disk && !error.retryable)
        kind = Kind::spare_lost;
    return {kind, error.message};
}

// Why data is not trusted.
std::string whyNot(const Result<recovery::UntouchedResult>& looked) {
    if (!looked) return looked.error().message;
    return looked->reasons.empty() ? "its data is not as it was" : looked->reasons.front();
}

}  // namespace

void RecoveryActions::answer(const Ask& ask, recovery::EventBody body) {
    p_.driver.handle(ask.key, std::move(body), ask.step);
}

void RecoveryActions::keep(const Ask& ask, recovery::Handle handle) {
    running_[ask.key][ask.step] = std::move(handle);
}

const conf::Server* RecoveryActions::server(const Place& place, const std::string& name) const {
    return p_.registry.poolOf(place).server(name);
}

void RecoveryActions::execute(Place& place, const Command& command) {
    const auto& hooks = p_.registry.poolOf(place).conf.recovery;
    switch (command.action) {
        case Action::restart_in_place: return restartInPlace(place, command);
        case Action::list_snapshots: return listSnapshots(place, command);
        case Action::persist_epoch: return persistEpoch(place, command);
        case Action::publish_fenced: return publishFenced(place, command);
        case Action::stop_old: return stopOld(place, command);
        case Action::rescue: return rescue(place, command);
        case Action::claim_spare: return claimSpare(place, command);
        case Action::pin_snapshot: return pin(place, command);
        case Action::restore: return restore(place, command);
        case Action::verify_tree: return verifyTree(place, command);
        case Action::run_verify_hook: return runHook(place, command, "verify", hooks.verify);
        case Action::activate: return activate(place, command);
        case Action::run_prepare_hook: return runHook(place, command, "prepare", hooks.prepare);
        case Action::start_service: return startService(place, command);
        case Action::watch_checks: return watchChecks(place, command);
        case Action::stop_replacement: return stopReplacement(place, command);
        case Action::publish_serving: return publishServing(place, command);
        case Action::reinstate_old: return reinstate(place, command);
        case Action::release_held: return releaseHeld(place, command);
        case Action::ramp: return ramp(place, command);
        case Action::take_first_snapshot: return takeFirstSnapshot(place, command);
        case Action::abort_step:
            running_[place.key].clear();
            timers_[place.key].clear();
            return;
        case Action::run_after_hook:
        case Action::notify: return afterwards(place, command);
        case Action::end_recovery: return end(place);
        // Server states: changed in the same journal record as the recovery (transition.cc).
        case Action::quarantine_old:
        case Action::free_spare:
        case Action::mark_spare_dirty:
        case Action::mark_spare_lost: return;
    }
}

// The marker must be that of the place's lineage, at the epoch the server served with.
recovery::UntouchedRequest RecoveryActions::questionOf(const Place& place,
                                                       const conf::Server& server,
                                                       uint64_t epoch) const {
    return {.repository = p_.backups.refOf(p_.registry.poolOf(place)),
            .name = place.name(),
            .data = server.data,
            .exited_at = place.exited_at.value_or(Wall::now()),
            .lineage = p_.registry.assignment(place).lineage,
            .epoch = epoch};
}

// First the whole tree is gone, then the data is as it was, then it starts again.
void RecoveryActions::restartInPlace(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    const auto* const old = server(place, command.old_server);
    const auto failed = [this, ask](recovery::RestartInPlaceResult::Outcome outcome,
                                    const std::string& text) {
        answer(ask, recovery::RestartInPlaceResult{outcome, text});
    };
    if (!old)
        return failed(recovery::RestartInPlaceResult::Outcome::failed,
                      "the configuration has no server " + command.old_server);
    p_.servers.supervisor().kill(
        p_.registry.spec(place.key.pool, *old),
        [this, ask, failed, name = old->name](Result<std::string> gone) {
            Place* const found = placeOf(ask);
            if (!found) return;
            if (!gone)
                return failed(recovery::RestartInPlaceResult::Outcome::failed,
                              gone.error().message);
            const auto& pool = p_.registry.poolOf(*found);
            const auto* const again = pool.server(name);
            if (!pool.conf.backup.on || !again) return startAgain(ask, name);
            const auto assignment = p_.registry.assignment(*found);
            keep(ask,
                 p_.steps.untouched(
                     questionOf(*found, *again, assignment.epoch),
                     [this, ask, failed, name](const Result<recovery::UntouchedResult>& result) {
                         using Outcome = recovery::RestartInPlaceResult::Outcome;
                         if (result && result->untouched) return startAgain(ask, name);
                         failed(result ? Outcome::touched : Outcome::failed, whyNot(result));
                     }));
        });
}

void RecoveryActions::startAgain(const Ask& ask, const std::string& name) {
    using Outcome = recovery::RestartInPlaceResult::Outcome;
    Place* const place = placeOf(ask);
    const auto* const again = place ? server(*place, name) : nullptr;
    if (!again)
        return answer(ask, recovery::RestartInPlaceResult{Outcome::failed, "no such server"});
    p_.health.serverStarting(*place);
    p_.servers.start(
        ask.key.pool, *again, p_.registry.assignment(*place).epoch,
        [this, ask](Result<ProcessId> started) {
            if (started)
                answer(ask, recovery::RestartInPlaceResult{
                                Outcome::started, "started again with its data untouched"});
            else
                answer(ask,
                       recovery::RestartInPlaceResult{Outcome::failed, started.error().message});
        });
}

void RecoveryActions::listSnapshots(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    const auto& pool = p_.registry.poolOf(place);
    if (!pool.conf.backup.on) return answer(ask, recovery::SnapshotsListed{});
    keep(ask,
         p_.backups.list(place, [this, ask](Result<std::vector<recovery::SnapshotInfo>> listed) {
             if (!listed) return answer(ask, recovery::RepositoryDown{listed.error().message});
             recovery::SnapshotsListed event;
             for (const auto& snapshot : *listed) event.snapshots.push_back(refOf(snapshot));
             // Later captures that found nothing to write say that the newest one still stood for
             // the data then.
             if (const Place* const found = placeOf(ask);
                 found && found->last_captured && !event.snapshots.empty())
                 event.snapshots.back().captured =
                     std::max(event.snapshots.back().captured, *found->last_captured);
             answer(ask, std::move(event));
         }));
}

// It became durable in the record of the transition that gave this command.
void RecoveryActions::persistEpoch(Place& place, const Command& command) {
    place.fenced = true;
    p_.backups.disturbed(place, "recovering");
    answer({place.key, command.step}, recovery::EpochDurable{});
}

void RecoveryActions::publishFenced(Place& place, const Command& command) {
    place.fenced = true;
    p_.views.publishNow([this, ask = Ask{place.key, command.step}] {
        answer(ask, recovery::WorkersAcknowledged{});
    });
}

void RecoveryActions::stopOld(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    const auto* const old = server(place, command.old_server);
    if (!old)
        return answer(ask, recovery::ProcessesGone{
                               false, "the configuration no longer has " + command.old_server});
    recovery::FenceRequest request{.server = p_.registry.spec(place.key.pool, *old),
                                   .hook = p_.registry.poolOf(place).conf.recovery.fence,
                                   .context = hookContext(place, command)};
    if (command.timeout > Duration{}) request.deadline = command.timeout;
    request.context.server = place.key.pool + "/" + command.old_server;
    const bool intact = place.recovery && !place.recovery->data_gone && !old->data.empty();
    keep(ask, recovery::fence(
                  p_.loop, p_.servers.supervisor(), std::move(request),
                  [this, ask, intact](const recovery::FenceOutcome& outcome) {
                      Place* const found = placeOf(ask);
                      if (found && !found->exited_at) found->exited_at = Wall::now();
                      if (outcome.fenced)
                          answer(ask,
                                 recovery::ProcessesGone{
                                     intact, outcome.detail});  // rescue looks at the data itself
                      else
                          answer(ask, recovery::FenceFailed{outcome.detail});
                  }));
}

void RecoveryActions::rescue(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    const auto& pool = p_.registry.poolOf(place);
    const auto* const old = server(place, command.old_server);
    if (!old || !pool.conf.backup.on)
        return answer(ask, recovery::RescueFailed{"there is no repository to rescue into"});
    if (p_.servers.supervisor().running(place.key.pool + "/" + old->name))
        return answer(ask, recovery::RescueFailed{"a process of " + old->name + " still runs"});
    const uint64_t epoch = place.recovery ? place.recovery->old_epoch : 0;
    keep(ask, p_.steps.untouched(questionOf(place, *old, epoch),
                                 [this, ask, command](Result<recovery::UntouchedResult> result) {
                                     if (result && result->untouched)
                                         return captureRescue(ask, command);
                                     const std::string why = whyNot(result);
                                     answer(ask, recovery::RescueFailed{why, away(result)});
                                 }));
}

void RecoveryActions::captureRescue(const Ask& ask, const Command& command) {
    Place* const place = placeOf(ask);
    const auto* const old = place ? server(*place, command.old_server) : nullptr;
    if (!old || !place->recovery) return;
    auto progress = [this, ask](const recovery::Progress& made) {
        answer(ask, recovery::RescueProgress{made.done_bytes});
    };
    keep(ask, p_.backups.capture(
                  *place, *old, place->recovery->old_epoch, p_.registry.assignment(*place).lineage,
                  true, progress, [this, ask](Result<recovery::SnapshotInfo> taken) {
                      if (!taken)
                          return answer(ask,
                                        recovery::RescueFailed{taken.error().message, away(taken)});
                      auto ref = refOf(*taken);
                      ref.rescue =
                          true;  // also when nothing had changed: the newest one is the dead disk
                      answer(ask, recovery::RescueDone{ref});
                  }));
}

void RecoveryActions::claimSpare(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    const auto& pool = p_.registry.poolOf(place);
    std::vector<std::string> free;
    free.reserve(pool.servers.size());
    for (const auto& spare : pool.conf.spares) free.push_back(spare.name);
    for (const auto& [name, other] : pool.servers)
        if (!pool.isSpare(name)) free.push_back(name);
    std::erase_if(free, [&](const std::string& name) {
        const auto record = p_.registry.serverRecord(pool, name);
        const bool ours =
            record.state == recovery::ServerState::claimed && record.claimed_by == command.recovery;
        return record.state != recovery::ServerState::free && !ours;
    });
    inspectSpare(ask, std::move(free), "");
}

// One after the other until one may be written to: absent, empty, or a copy of this very backend.
void RecoveryActions::inspectSpare(const Ask& ask, std::vector<std::string> candidates,
                                   std::string refusals) {
    Place* const place = placeOf(ask);
    if (!place) return;
    if (candidates.empty())
        return answer(ask, recovery::NoSpare{refusals.empty()
                                                 ? "no spare of pool " + ask.key.pool + " is free"
                                                 : refusals});
    const std::string name = candidates.front();
    candidates.erase(candidates.begin());
    const auto* const spare = server(*place, name);
    if (!spare || spare->data.empty()) return answer(ask, recovery::SpareClaimed{name});
    keep(ask, p_.steps.inspect(
                  {spare->data, place->name()},
                  [this, ask, name, candidates = std::move(candidates),
                   refusals = std::move(refusals)](Result<recovery::InspectResult> seen) mutable {
                      const auto taken = takenMeanwhile(ask, name);
                      if (seen && seen->usable && !taken)
                          return answer(ask, recovery::SpareClaimed{name});
                      if (!refusals.empty()) refusals += "; ";
                      refusals += "spare " + name + ": " +
                                  (taken  ? *taken
                                   : seen ? seen->reason
                                          : seen.error().message);
                      inspectSpare(ask, std::move(candidates), std::move(refusals));
                  }));
}

// By another recovery, while we looked at its directory.
std::optional<std::string> RecoveryActions::takenMeanwhile(const Ask& ask,
                                                           const std::string& name) {
    const Place* const place = placeOf(ask);
    if (!place || !place->recovery) return "nobody wants it any more";
    const auto record = p_.registry.serverRecord(p_.registry.poolOf(*place), name);
    const auto may =
        recovery::change(record, recovery::ServerChange::claim, place->recovery->id, "");
    if (may) return std::nullopt;
    return may.error().message;
}

void RecoveryActions::pin(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    keep(ask, p_.steps.pin({p_.backups.refOf(p_.registry.poolOf(place)), place.name(),
                            command.snapshot->id, command.recovery},
                           [this, ask](Result<> pinned) {
                               if (pinned)
                                   answer(ask, recovery::SnapshotPinned{});
                               else
                                   answer(ask, recovery::PinFailed{pinned.error().message});
                           }));
}

void RecoveryActions::restore(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    const auto* const spare = server(place, command.spare);
    if (!spare)
        return answer(ask, recovery::RestoreFailed{recovery::RestoreFailed::Kind::spare_lost,
                                                   "the configuration no longer has it"});
    recovery::RestoreRequest request{
        p_.backups.refOf(p_.registry.poolOf(place)), place.name(), command.snapshot->id,
        recovery::stagingPath(spare->data, command.recovery), command.recovery};
    keep(ask, p_.steps.restore(
                  request,
                  [this, ask](const recovery::Progress& progress) {
                      answer(ask,
                             recovery::RestoreProgress{progress.done_bytes, progress.total_bytes});
                  },
                  [this, ask](Result<recovery::RestoreResult> restored) {
                      if (restored)
                          answer(ask, recovery::RestoreDone{restored->restored_bytes});
                      else
                          answer(ask, restoreFailure(restored.error()));
                  }));
}

void RecoveryActions::verifyTree(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    const auto* const spare = server(place, command.spare);
    if (!spare)
        return answer(
            ask, recovery::VerifyFailed{"the configuration no longer has " + command.spare, false});
    recovery::VerifyTreeRequest request{p_.backups.refOf(p_.registry.poolOf(place)), place.name(),
                                        command.snapshot->id,
                                        recovery::stagingPath(spare->data, command.recovery)};
    keep(ask, p_.steps.verifyTree(
                  request, [](const recovery::Progress&) {},
                  [this, ask](Result<recovery::VerifyTreeResult> verified) {
                      if (verified)
                          answer(ask, recovery::TreeVerified{verified->digest});
                      else
                          answer(ask,
                                 recovery::VerifyFailed{verified.error().message, away(verified)});
                  }));
}

void RecoveryActions::activate(Place& place, const Command& command) {
    const Ask ask{place.key, command.step};
    const auto* const spare = server(place, command.spare);
    if (!spare)
        return answer(ask,
                      recovery::ActivateFailed{"the configuration no longer has " + command.spare});
    recovery::ActivateRequest request{recovery::stagingPath(spare->data, command.recovery),
                                      spare->data,
                                      command.recovery,
                                      command.epoch,
                                      place.name(),
                                      command.lineage,
                                      command.snapshot->id};
    keep(ask, p_.steps.activate(
                  request, [](const recovery::Progress&) {},
                  [this, ask](Result<recovery::ActivateResult> activated) {
                      if (activated)
                          answer(ask, recovery::Activated{});
                      else
                          answer(ask, recovery::ActivateFailed{activated.error().message});
                  }));
}

}  // namespace regrow::control
