#include "proxy/control/server_processes.h"

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "proxy/control/lineage_search.h"

namespace regrow::control {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFirstBackoff =
    1s;  // of a server that has nothing to recover from and keeps dying
constexpr Duration kLongestBackoff = 60s;

recovery::ServerKey keyOf(const std::string& server) {
    const auto slash = server.find('/');
    return {server.substr(0, slash), server.substr(slash + 1)};
}

}  // namespace

ServerProcesses::ServerProcesses(EventLoop& loop, Registry& registry, EventLog& events,
                                 recovery::LocalSteps& steps)
    : loop_(loop), registry_(registry), events_(events), steps_(steps) {}

Result<> ServerProcesses::open(const std::string& state_dir, Hooks hooks) {
    hooks_ = std::move(hooks);
    REGROW_TRY(supervisor_,
               recovery::Supervisor::create(
                   loop_, state_dir,
                   [this](const std::string& server, const ProcessId&,
                          const std::optional<ExitStatus>& status,
                          const std::string& log_tail) { onExit(server, status, log_tail); }));
    return {};
}

void ServerProcesses::bringUp() {
    for (auto& [name, pool] : registry_.pools())
        for (const auto& place : pool.places) bringUp(*place);
}

// A server that runs is adopted; one that does not is started if its data may be trusted. What a
// recovery is doing with the place is the recovery's business.
void ServerProcesses::bringUp(Place& place) {
    const auto* const server = registry_.filling(place);
    const auto& processes = registry_.journal().saved().processes;
    if (place.recovery) {  // its replacement may be running
        const auto* const spare = registry_.poolOf(place).server(place.recovery->spare);
        const auto it = spare ? processes.find({place.key.pool, spare->name}) : processes.end();
        if (it != processes.end())
            supervisor_->adopt(registry_.spec(place.key.pool, *spare), it->second.id);
    }
    if (!server || !server->service.supervised()) return;
    const auto spec = registry_.spec(place.key.pool, *server);
    if (supervisor_->running(spec.key)) return;
    const auto saved = processes.find({place.key.pool, server->name});
    if (saved != processes.end() && supervisor_->adopt(spec, saved->second.id)) {
        place.marked = registry_.flags(place).ever_up;
        events_.add(place.key.pool, place.key.backend, "service",
                    "adopted " + server->name + ", process " +
                        std::to_string(saved->second.id.pid) + ", which runs since before");
        return;
    }
    if (place.recovery || place.brought_up || checks_.contains(place.key)) return;
    place.waits_for_repository = !mayJudge(place);
    if (place.waits_for_repository) return;  // asked again when it has answered
    place.brought_up = true;
    if (!everKnown(place) || !registry_.poolOf(place).conf.backup.on)
        return startFresh(place, *server);
    startIfUntouched(place, *server);
}

// Whether a backend that we never saw up is new can only be said once its repository was read.
bool ServerProcesses::mayJudge(const Place& place) const {
    return registry_.flags(place).ever_up || !registry_.poolOf(place).conf.backup.on ||
           place.listed;
}

bool ServerProcesses::everKnown(const Place& place) const {
    return registry_.flags(place).ever_up || !place.snapshots.empty() ||
           place.damaged_snapshots > 0;
}

// Known, but not to us: state_dir was lost. The markers say which server has the newest data, and
// of which lineage and epoch it is.
void ServerProcesses::learnLineage(Place& place) {
    std::vector<conf::Server> servers;
    for (const auto& [name, server] : registry_.poolOf(place).servers) servers.push_back(server);
    auto search =
        findLineage(steps_, std::move(servers), place.name(),
                    [this, key = place.key](const std::optional<LineageFound>& newest) {
                        const auto handle = std::move(checks_[key]);
                        checks_.erase(key);
                        if (Place* const found = registry_.place(key); found && !found->recovery)
                            learned(*found, newest);
                    });
    if (!search) return learned(place, std::nullopt);
    checks_[place.key] = std::move(search);
}

void ServerProcesses::learned(Place& place, const std::optional<LineageFound>& newest) {
    const auto assigned = registry_.assignment(place).server;
    if (!newest) return notTrusted(place, assigned, "no server of the pool carries a marker of it");
    uint64_t known = 0;
    for (const auto& snapshot : place.snapshots) known = std::max(known, snapshot.epoch);
    if (newest->epoch < known)
        return notTrusted(place, newest->server,
                          "it is of epoch " + std::to_string(newest->epoch) +
                              ", and the repository knows a later one, " + std::to_string(known) +
                              ": another server had replaced it");
    if (newest->server != assigned)
        events_.add(place.key.pool, place.key.backend, "service",
                    newest->server + " fills the place, not " + assigned +
                        ": its data is of the highest epoch, " + std::to_string(newest->epoch));
    if (assign(place, *newest)) bringUpAgain(place);
}

bool ServerProcesses::assign(Place& place, const LineageFound& newest) {
    auto assignment = registry_.assignment(place);
    const auto* const server = registry_.poolOf(place).server(newest.server);
    if (!server) return false;
    assignment.server = newest.server;
    assignment.config_hash = configHash(*server);
    assignment.lineage = newest.lineage;
    assignment.epoch = std::max(assignment.epoch, newest.epoch);
    const auto written = registry_.journal().assign(place.key, assignment);
    if (!written) log::error("service " + place.name(), "{}", written.error().message);
    return written.has_value();
}

// With what was learned: the place may be filled by another server than the file says.
void ServerProcesses::bringUpAgain(Place& place) {
    place.brought_up = false;
    hooks_.reassigned(place);
    bringUp(place);
}

void ServerProcesses::startIfUntouched(Place& place, const conf::Server& server) {
    const auto assignment = registry_.assignment(place);
    if (assignment.lineage.empty()) return learnLineage(place);
    const auto repository = *registry_.repositoryOf(registry_.poolOf(place));
    const auto& conf = registry_.config().repositories.at(repository);
    checks_[place.key] = steps_.untouched(
        {.repository = {conf.path, conf.key_file},
         .name = place.name(),
         .data = server.data,
         .exited_at = Wall::now(),
         .lineage = assignment.lineage,
         .epoch = assignment.epoch},
        [this, repository, key = place.key](const Result<recovery::UntouchedResult>& result) {
            const auto handle = std::move(checks_[key]);
            checks_.erase(key);
            Place* const found = registry_.place(key);
            if (found && !found->recovery) looked(*found, repository, result);
        });
}

void ServerProcesses::looked(Place& place, const std::string& repository,
                             const Result<recovery::UntouchedResult>& result) {
    const auto* const filling = registry_.filling(place);
    if (!filling) return;
    if (!result && result.error().source == Source::repository)
        return waitFor(place, repository, result.error());
    if (!result || !result->untouched)
        return notTrusted(place, filling->name,
                          !result                   ? result.error().message
                          : result->reasons.empty() ? "not as it was"
                                                    : result->reasons.front());
    place.marked = true;
    startOf(place, *filling);
}

// Nothing speaks against the disk, only nobody can compare it yet. Asked again when the repository
// answers.
void ServerProcesses::waitFor(Place& place, const std::string& repository, const Error& error) {
    const std::string why = "waits for repository " + repository + ": " + error.message;
    if (place.health_reason != why)
        events_.add(place.key.pool, place.key.backend, "service", "not started yet, it " + why);
    place.health_reason = why;
    place.brought_up = false;
    place.waits_for_repository = true;
}

void ServerProcesses::notTrusted(Place& place, const std::string& server, const std::string& why) {
    events_.add(place.key.pool, place.key.backend, "service",
                server + " is not started, its data is not as it was left: " + why);
    hooks_.data_gone(place, "not running, and its data is not as it was: " + why);
}

void ServerProcesses::startFresh(Place& place, const conf::Server& server) {
    if (!server.data.empty())
        if (const auto made = makeDirectories(server.data, 0700); !made)
            events_.add(
                place.key.pool, place.key.backend, "service",
                "cannot make the data directory of " + server.name + ": " + made.error().message);
    startOf(place, server);
}

void ServerProcesses::startOf(Place& place, const conf::Server& server) {
    place.starting = true;
    hooks_.started(place);
    start(place.key.pool, server, registry_.assignment(place).epoch,
          [this, key = place.key, name = server.name](Result<ProcessId> started) {
              Place* const found = registry_.place(key);
              if (!found) return;
              found->starting = false;
              if (started) {
                  events_.add(key.pool, key.backend, "service",
                              "started " + name + ", process " + std::to_string(started->pid));
                  return;
              }
              events_.add(key.pool, key.backend, "service",
                          "starting " + name + " failed: " + started.error().message);
              hooks_.exited(*found, "could not be started: " + started.error().message,
                            Wall::now());
              if (nothingToRecover(*found)) restartStateless(*found);
          });
}

void ServerProcesses::start(const std::string& pool, const conf::Server& server, uint64_t epoch,
                            recovery::OnDone<ProcessId> done) {
    auto persist = [this, key = recovery::ServerKey{pool, server.name},
                    epoch](const ProcessId& process) -> Result<> {
        return registry_.journal().process(key, {process, Wall::now(), epoch});
    };
    supervisor_->start(registry_.spec(pool, server), epoch, std::move(persist), std::move(done));
}

void ServerProcesses::onExit(const std::string& server_key, const std::optional<ExitStatus>& status,
                             const std::string& log_tail) {
    const auto key = keyOf(server_key);
    const std::string text = status ? status->text() : "status unknown (adopted)";
    if (const auto gone = registry_.journal().processGone(key); !gone)
        log::error("service " + server_key, "{}", gone.error().message);
    std::vector<std::pair<std::string, std::string>> details{{"server", key.server}};
    if (!log_tail.empty()) details.emplace_back("log", log_tail);
    Place* place = registry_.filledBy(key.pool, key.server);
    if (auto* const pool = registry_.pool(key.pool); !place && pool)
        for (const auto& candidate : pool->places)
            if (candidate->recovery && (candidate->recovery->spare == key.server ||
                                        candidate->recovery->old_server == key.server))
                place = candidate.get();
    events_.add(key.pool, place ? place->key.backend : "", "service",
                key.server + ": process exited, " + text, std::move(details));
    if (!place) return;
    const bool old = place->recovery && place->recovery->old_server == key.server;
    const bool replaced = old && registry_.assignment(*place).server != key.server;
    if (!place->exited_at && (old || registry_.assignment(*place).server == key.server))
        place->exited_at = Wall::now();
    if (replaced) return;  // the fence did its work
    hooks_.exited(*place, text, Wall::now());
    if (nothingToRecover(*place)) restartStateless(*place);
}

bool ServerProcesses::nothingToRecover(const Place& place) const {
    const auto& pool = registry_.poolOf(place);
    return !pool.recovers() || place.waits_for_repository ||
           (pool.conf.backup.on && !everKnown(place) && mayJudge(place));
}

// Nothing is lost by trying again: as a service manager would, with a pause that doubles.
void ServerProcesses::restartStateless(Place& place) {
    auto& pause = backoff_[place.key];
    pause = pause == Duration{} ? kFirstBackoff : std::min(pause * 2, kLongestBackoff);
    auto& timer = restarts_[place.key];
    timer = Timer(loop_, [this, key = place.key] {
        Place* const found = registry_.place(key);
        const auto* const filling = found ? registry_.filling(*found) : nullptr;
        if (!filling || !filling->service.supervised()) return;
        supervisor_->kill(registry_.spec(key.pool, *filling), [this, key](Result<std::string>) {
            Place* const again = registry_.place(key);
            const auto* const server = again ? registry_.filling(*again) : nullptr;
            if (server) startOf(*again, *server);
        });
    });
    timer.after(pause);
    events_.add(place.key.pool, place.key.backend, "service",
                "starting it again in " + humanDuration(pause));
}

// Data that already carries a marker of this backend keeps its lineage (our own memory was lost);
// one of another backend is refused; data without any is marked for the first time, unless the
// backend had data before: then this is not it.
void ServerProcesses::markFresh(Place& place, std::function<void()> marked) {
    backoff_.erase(place.key);
    const auto* const server = registry_.filling(place);
    if (!server || place.marked || checks_.contains(place.key)) return;
    checks_[place.key] = steps_.inspect(
        {server->data, place.name()}, [this, key = place.key, marked = std::move(marked)](
                                          Result<recovery::InspectResult> seen) mutable {
            const auto handle = std::move(checks_[key]);
            checks_.erase(key);
            Place* const found = registry_.place(key);
            if (!found) return;
            if (!seen) return cannotMark(*found, seen.error().message);
            if (!seen->backend.empty() && seen->backend != found->name())
                return cannotMark(*found, "it is marked as that of " + seen->backend +
                                              "; two backends must not share a directory");
            const bool known = !seen->backend.empty();
            if (!known && !mayJudge(*found)) return;  // again when the repository has answered
            if (!known && everKnown(*found)) return markerGone(*found);
            if (!assignLineage(*found, known ? seen->lineage : "", known ? seen->epoch : 0)) return;
            if (known) return nowMarked(*found, marked);
            writeMarker(*found, std::move(marked));
        });
}

bool ServerProcesses::assignLineage(Place& place, const std::string& lineage, uint64_t epoch) {
    auto assignment = registry_.assignment(place);
    if (!lineage.empty()) assignment.lineage = lineage;
    if (assignment.lineage.empty()) assignment.lineage = toHex(secureRandomBytes(8));
    assignment.epoch = std::max<uint64_t>({assignment.epoch, epoch, 1});
    const auto written = registry_.journal().assign(place.key, assignment);
    if (!written) log::error("service " + place.name(), "{}", written.error().message);
    return written.has_value();
}

void ServerProcesses::writeMarker(Place& place, std::function<void()> marked) {
    const auto* const server = registry_.filling(place);
    if (!server) return;
    const auto assignment = registry_.assignment(place);
    const auto& conf =
        registry_.config().repositories.at(*registry_.repositoryOf(registry_.poolOf(place)));
    const recovery::RepositoryRef repository{conf.path, conf.key_file};
    checks_[place.key] =
        steps_.fresh({server->data, place.name(), assignment.lineage, assignment.epoch, repository},
                     [this, key = place.key, marked = std::move(marked)](Result<> done) {
                         const auto handle = std::move(checks_[key]);
                         checks_.erase(key);
                         Place* const found = registry_.place(key);
                         if (!found) return;
                         if (done)
                             nowMarked(*found, marked);
                         else
                             cannotMark(*found, done.error().message);
                     });
}

void ServerProcesses::nowMarked(Place& place, const std::function<void()>& marked) {
    place.marked = true;
    auto flags = registry_.flags(place);
    flags.ever_up = true;
    if (const auto written = registry_.journal().flag(place.key, flags); !written)
        log::error("service " + place.name(), "{}", written.error().message);
    marked();
}

void ServerProcesses::markerGone(Place& place) {
    const auto* const server = registry_.filling(place);
    if (!server) return;
    const std::string why = "its marker (.regrow) is gone, so its data is not what was backed up";
    cannotMark(place, why);
    if (server->service.supervised()) return;  // it was started on good data and goes on
    place.data_in_doubt = true;
    hooks_.data_gone(place, "it runs, but " + why);
}

void ServerProcesses::cannotMark(Place& place, const std::string& why) {
    events_.add(place.key.pool, place.key.backend, "service",
                "its data cannot be marked, so it is not backed up: " + why);
}

}  // namespace regrow::control
