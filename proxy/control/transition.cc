#include <utility>

#include "proxy/control/recovery_driver.h"

namespace regrow::control {
namespace {

using recovery::Action;
using recovery::Command;
using recovery::ServerChange;
using recovery::State;

std::optional<ServerChange> serverChange(Action action) {
    switch (action) {
        case Action::quarantine_old: return ServerChange::quarantine;
        case Action::free_spare: return ServerChange::give_back;
        case Action::mark_spare_dirty: return ServerChange::soil;
        case Action::mark_spare_lost: return ServerChange::lose;
        case Action::persist_epoch:  // the old one: fenced it fills no place, and must not pass for
                                     // a free spare
        case Action::publish_serving:
        case Action::reinstate_old: return ServerChange::use;
        default: return std::nullopt;
    }
}

std::string serverOf(const Command& command) {
    const bool old = command.action == Action::quarantine_old ||
                     command.action == Action::reinstate_old ||
                     command.action == Action::persist_epoch;
    return old ? command.old_server : command.spare;
}

// Folds one more change onto those already in the transition.
void apply(recovery::Transition& out, const Registry& registry, const PoolState& pool,
           const std::string& server, ServerChange what, const std::string& recovery,
           const std::string& reason) {
    if (server.empty()) return;  // nobody filled the place
    auto current = registry.serverRecord(pool, server);
    for (const auto& [name, record] : out.servers)
        if (name == server) current = record;
    const auto changed = recovery::change(current, what, recovery, reason);
    if (changed) out.servers.emplace_back(server, *changed);
}

void addAssignment(recovery::Transition& out, const Registry& registry, const PoolState& pool,
                   const Place& place, const Command& command) {
    auto assignment = out.assignment.value_or(registry.assignment(place));
    if (command.action == Action::persist_epoch && !assignment.server.empty()) {
        assignment.last_server = std::exchange(assignment.server, {});
        assignment.last_epoch = assignment.epoch;
    }
    assignment.epoch = command.epoch;
    if (command.action == Action::publish_serving || command.action == Action::reinstate_old) {
        assignment.server = serverOf(command);
        assignment.last_server.clear();
        assignment.last_epoch = 0;
        if (command.action == Action::publish_serving) assignment.lineage = command.lineage;
        if (const auto* server = pool.server(assignment.server))
            assignment.config_hash = configHash(*server);
    }
    out.assignment = assignment;
}

bool changesAssignment(Action action) {
    return action == Action::persist_epoch || action == Action::publish_serving ||
           action == Action::reinstate_old;
}

bool beforeTheGate(const recovery::RecoveryState& state) {
    return state.state == State::steady || state.state == State::suspect ||
           state.state == State::decide ||
           (state.state == State::held && state.held_from == State::decide);
}

recovery::FlapHistory flapsOf(const Registry& registry, const Place& place) {
    const auto& saved = registry.journal().saved().flaps;
    const auto it = saved.find(place.key);
    return it == saved.end() ? recovery::FlapHistory{} : it->second;
}

recovery::Budget budgetOf(const Registry& registry, const PoolState& pool) {
    const auto& saved = registry.journal().saved().budgets;
    const auto it = saved.find(pool.conf.name);
    return it == saved.end() ? recovery::Budget{} : it->second;
}

}  // namespace

recovery::Transition transitionOf(const Registry& registry, const Place& place,
                                  const recovery::RecoveryState& before,
                                  const recovery::StepResult& result, Instant now) {
    const auto& pool = registry.poolOf(place);
    const auto& after = result.state;
    recovery::Transition out{.backend = place.key,
                             .state = after,
                             .servers = {},
                             .assignment = {},
                             .budget = {},
                             .flap = {}};
    // Given back before the next one is claimed: the same recovery may change its spare in one
    // step.
    for (const auto& command : result.commands)
        if (const auto what = serverChange(command.action))
            apply(out, registry, pool, serverOf(command), *what, after.id, command.text);
    if (!after.spare.empty() && after.spare != before.spare)
        apply(out, registry, pool, after.spare, ServerChange::claim, after.id,
              "claimed by recovery " + after.id);
    for (const auto& command : result.commands)
        if (changesAssignment(command.action)) addAssignment(out, registry, pool, place, command);

    auto flap = flapsOf(registry, place);
    const auto flap_before = flap;
    if (before.state == State::steady && !after.requested && !place.recovery) flap.died({}, now);
    for (const auto& command : result.commands)
        if (command.action == Action::restart_in_place) flap.restartedInPlace(now);
    // A replacement that died while it warmed, after a restart in place had not lasted either: that
    // is flapping too.
    if (before.state == State::warm && after.state == State::fence && !flap.restarts.empty()) {
        flap.recoveredAt(now);
        flap.died({}, now);
    }
    if (flap != flap_before) out.flap = flap;

    const bool past_the_gate = beforeTheGate(before) && after.state == State::fence;
    if (past_the_gate) {
        auto budget = budgetOf(registry, pool);
        budget.forget(pool.conf.recovery.budget_per, now);
        budget.spend(now);
        out.budget = budget;
    }
    return out;
}

}  // namespace regrow::control
