#include "proxy/recovery/backup_schedule.h"

#include <algorithm>

namespace regrow::recovery {

void BackupSchedule::configure(const std::string& name, Options options) {
    Backend& backend = backends_[name];
    if (backend.options == options) return;
    backend.options = options;
    if (backend.started != Instant{})
        backend.due = std::min(backend.due, backend.started + options.every);
}

void BackupSchedule::remove(const std::string& name) {
    backends_.erase(name);
}

void BackupSchedule::knownFull(const std::string& name, Instant when) {
    const auto found = backends_.find(name);
    if (found != backends_.end()) found->second.last_full = when;
}

void BackupSchedule::cameUp(const std::string& name, Instant now) {
    const auto found = backends_.find(name);
    if (found == backends_.end() || !found->second.paused) return;
    found->second.paused = false;
    found->second.pause_reason.clear();
    found->second.failures = 0;  // what failed before says nothing of this server
    found->second.due = now;
}

bool BackupSchedule::pause(const std::string& name, std::string reason) {
    const auto found = backends_.find(name);
    if (found == backends_.end()) return false;
    Backend& backend = found->second;
    backend.paused = true;
    backend.pause_reason = std::move(reason);
    backend.requested = backend.requested_full = false;
    backend.disturbed = backend.running != 0;
    return backend.disturbed;
}

Result<> BackupSchedule::request(const std::string& name, bool full) {
    const auto found = backends_.find(name);
    if (found == backends_.end())
        return fail(Code::not_found, Source::client, name + " has no backup in the configuration");
    Backend& backend = found->second;
    if (backend.paused)
        return fail(Code::refused, Source::client,
                    "no backup of " + name + " now: " + backend.pause_reason);
    backend.requested = true;
    backend.requested_full |= full;
    return {};
}

std::optional<BackupSchedule::Due> BackupSchedule::next(Instant now) {
    const std::string* name = nullptr;
    Backend* chosen = nullptr;
    // Asked for goes first, then who waits longest.
    const auto before = [](const Backend& a, const Backend& b) {
        return a.requested != b.requested ? a.requested : a.due < b.due;
    };
    for (auto& [key, backend] : backends_) {
        if (backend.paused || backend.running != 0) continue;
        if (!backend.requested && backend.due > now) continue;
        if (!chosen || before(backend, *chosen)) name = &key, chosen = &backend;
    }
    if (!chosen) return std::nullopt;
    return begin(*name, *chosen, now);
}

BackupSchedule::Due BackupSchedule::begin(const std::string& name, Backend& backend, Instant now) {
    const bool full_due = !backend.last_full || now - *backend.last_full >= backend.options.full;
    Due due{name, backend.requested_full || full_due, backend.requested, ++last_ticket_};
    backend.running = due.ticket;
    backend.disturbed = false;
    backend.started = now;
    backend.due = now + backend.options.every;
    backend.requested = backend.requested_full = false;
    return due;
}

std::optional<Instant> BackupSchedule::wakeAt() const {
    std::optional<Instant> earliest;
    for (const auto& [name, backend] : backends_) {
        if (backend.paused || backend.running != 0) continue;
        const Instant at = backend.requested ? Instant{} : backend.due;
        if (!earliest || at < *earliest) earliest = at;
    }
    return earliest;
}

bool BackupSchedule::finished(const Due& due, const Result<>& outcome, Instant now) {
    const auto found = backends_.find(due.backend);
    if (found == backends_.end() || found->second.running != due.ticket) return false;
    Backend& backend = found->second;
    backend.running = 0;
    if (std::exchange(backend.disturbed, false)) return false;
    if (!outcome) {
        ++backend.failures;
        backend.last_error = outcome.error().message;
        backend.due = std::max(backend.due, now + backOff(backend));
        return true;
    }
    backend.failures = 0;
    backend.last_error.clear();
    backend.last_good = backend.started;
    if (due.full) backend.last_full = backend.started;
    return true;
}

Duration BackupSchedule::backOff(const Backend& backend) {
    const Duration longest = std::max(kLongestBackOff, backend.options.every);
    Duration wait = backend.options.every;
    for (int i = 1; i < backend.failures && wait < longest; ++i) wait *= 2;
    return std::min(wait, longest);
}

std::optional<BackupSchedule::Status> BackupSchedule::status(const std::string& name) const {
    const auto found = backends_.find(name);
    if (found == backends_.end()) return std::nullopt;
    const Backend& backend = found->second;
    Status status{backend.running != 0, backend.paused, backend.pause_reason, backend.failures,
                  backend.last_error,   std::nullopt,   backend.last_good};
    if (!backend.paused && backend.running == 0) status.next = backend.due;
    return status;
}

}  // namespace regrow::recovery
