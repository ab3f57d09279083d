#include "proxy/control/control_plane.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "proxy/control/routes.h"
#include "proxy/control/status_builder.h"
#include "proxy/net/client_table.h"

namespace regrow::control {
namespace {

using namespace std::chrono_literals;

int workerCount(const conf::Config& config) {
    if (config.workers > 0) return config.workers;
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

serve::WorkerPoolOptions workerOptions(const conf::Config& config) {
    serve::WorkerPoolOptions options;
    options.workers = workerCount(config);
    if (config.access_log.on) options.access_log_path = config.access_log.path;
    options.access_log_json = config.access_log.format == "json";
    return options;
}

// A key that cannot be read would be found out in the middle of the first recovery.
Result<> keysReadable(const conf::Config& config) {
    for (const auto& [name, repository] : config.repositories)
        if (::access(repository.key_file.c_str(), R_OK) != 0)
            return failErrno(errno,
                             "repository " + name + ": key file " + repository.key_file +
                                 " (make one with `regrow key new " + repository.key_file + "`)",
                             Source::config);
    return {};
}

// What a running process keeps, whatever the file says by now: "workers and access_log", or empty.
std::string needsRestart(const conf::Config& now, const conf::Config& next) {
    std::vector<std::string> keys;
    if (now.workers != next.workers) keys.emplace_back("workers");
    if (now.user != next.user) keys.emplace_back("user");
    if (now.admin.listen != next.admin.listen) keys.emplace_back("admin.listen");
    if (now.access_log != next.access_log) keys.emplace_back("access_log");
    if (now.audit_log != next.audit_log) keys.emplace_back("audit_log");
    std::string text;
    for (const auto& key : keys) text += (text.empty() ? "" : ", ") + key;
    return text;
}

}  // namespace

Result<std::unique_ptr<ControlPlane>> ControlPlane::start(
    EventLoop& loop, const Clock& clock, const std::shared_ptr<const conf::Config>& config,
    Options options) {
    REGROW_CHECK(keysReadable(*config));
    REGROW_TRY(auto journal, recovery::Journal::open(config->state_dir, clock));
    for (const auto& warning : journal->warnings()) log::warn("journal", "{}", warning);
    std::unique_ptr<ControlPlane> plane(
        new ControlPlane(loop, clock, std::move(options), std::move(journal), *config));
    REGROW_CHECK(plane->begin(config));
    return plane;
}

ControlPlane::ControlPlane(EventLoop& loop, const Clock& clock, Options options,
                           std::unique_ptr<recovery::Journal> journal, const conf::Config& config)
    : loop_(loop),
      options_(std::move(options)),
      started_(loop.now()),
      journal_(std::move(journal)),
      registry_(*journal_, static_cast<size_t>(workerCount(config))),
      events_(clock),
      counters_(Counters::load(config.state_dir + "/counters.json")),
      steps_(loop, options_.binary),
      servers_(loop, registry_, events_, steps_),
      backups_(loop, registry_, steps_, events_),
      workers_(std::make_unique<serve::WorkerPool>(
          loop, workerOptions(config),
          [this](const std::vector<serve::Observation>& seen) { health_.observe(seen); })),
      views_(loop, registry_,
             [this](std::shared_ptr<const View> view, ViewPublisher::Acknowledged acknowledged) {
                 workers_->publish(std::move(view), std::move(acknowledged));
             }),
      health_(loop, registry_, events_, views_),
      driver_(loop, registry_, events_),
      actions_({loop, registry_, events_, driver_, backups_, health_, servers_, views_, steps_}),
      returns_(registry_, health_, driver_, steps_),
      names_(loop, registry_, events_,
             [this] {
                 health_.configure();
                 views_.changed();
             }),
      periodic_(loop, [this] { everyFiveSeconds(); }) {}

ControlPlane::~ControlPlane() {
    if (const auto saved = counters_.save(registry_); !saved)
        log::warn("counters", "{}", saved.error().message);
    events_.sync();
}

Result<> ControlPlane::begin(const std::shared_ptr<const conf::Config>& config) {
    const std::string audit =
        config->audit_log.empty() ? config->state_dir + "/audit.log" : config->audit_log;
    REGROW_CHECK(events_.openAuditLog(audit, journal_->saved().event_seq));
    wire();
    REGROW_CHECK(
        servers_.open(config->state_dir,
                      {.exited = [this](Place& place, const std::string& text,
                                        WallTime) { health_.serverExited(place, text); },
                       .data_gone =
                           [this](Place& place, const std::string& why) {
                               driver_.died(place, {.kind = recovery::EvidenceKind::process_exit,
                                                    .text = why,
                                                    .proof = true,
                                                    .server = registry_.assignment(place).server,
                                                    .died_at = loop_.now(),
                                                    .died_wall = Wall::now(),
                                                    .data_gone = true});
                           },
                       .started = [this](Place& place) { health_.serverStarting(place); },
                       .reassigned = [this](Place& place) { health_.serverFillsPlace(place); }}));
    REGROW_TRY(auto tls, TlsContexts::load(*config, tls_));
    REGROW_CHECK(openListeners(*config, std::move(tls)));
    registry_.take(config);
    applyTls();
    driver_.load();
    servers_.bringUp();
    health_.configure();
    names_.configure();
    workers_->start(buildView(registry_));
    events_.add("", "", "service",
                "regrow " REGROW_VERSION " serves " +
                    plural(registry_.listeners().size(), "listener") + " and " +
                    plural(registry_.pools().size(), "pool") + " with " +
                    plural(registry_.workers(), "worker"));
    backups_.configure();
    driver_.resumeAll();
    periodic_.every(5s);
    return {};
}

void ControlPlane::wire() {
    driver_.onCommand([this](Place& place, const recovery::Command& command) {
        actions_.execute(place, command);
    });
    driver_.onDone([this](Place& place) { health_.speakUp(place); });
    backups_.onChange([this] {
        servers_.bringUp();
        for (const auto& [name, pool] : registry_.pools())
            for (const auto& place : pool.places)
                if (!place->marked && health_.provenUp(*place)) cameUp(*place);
        driver_.gateChanged();
    });
    backups_.onDoubt([this](Place& place) {
        doubt(place);
        if (place.data_in_doubt && health_.provenUp(place)) cameUp(place);
    });
    health_.setHooks({.died =
                          [this](Place& place, recovery::BackendDied death) {
                              if (!servers_.nothingToRecover(place))
                                  driver_.died(place, std::move(death));
                          },
                      .confirmed =
                          [this](Place& place, const std::string& text) {
                              if (place.recovery)
                                  driver_.handle(place.key, recovery::Confirmed{text});
                          },
                      .up = [this](Place& place) { cameUp(place); },
                      .down = [this](Place& place) { wentDown(place); }});
}

// The server that fills the place serves: its data may be marked and captured, a recovery that only
// waited may end.
void ControlPlane::cameUp(Place& place) {
    place.exited_at.reset();
    const bool doubted = place.data_in_doubt;
    if (place.fenced) return returns_.look(place);
    if (!doubted) driver_.returned(place);
    if (!hasData(place)) return;
    if (place.marked) {
        if (!place.recovery) backups_.cameUp(place);
        return;
    }
    servers_.markFresh(place, [this, doubted, key = place.key] {
        Place* const found = registry_.place(key);
        if (!found) return;
        found->data_in_doubt = false;
        views_.changed();
        if (doubted) driver_.returned(*found);
        if (!found->recovery) backups_.cameUp(*found);
    });
}

// What others run may come back on another disk, and nobody tells us of its exit.
void ControlPlane::wentDown(Place& place) {
    backups_.disturbed(place, "its server is not up");
    doubt(place);
}

// No traffic until its marker was seen.
void ControlPlane::doubt(Place& place) {
    const auto* const filling = registry_.filling(place);
    if (!hasData(place) || filling->service.supervised() || !place.marked) return;
    place.marked = false;
    place.data_in_doubt = true;
    views_.changed();
}

bool ControlPlane::hasData(const Place& place) const {
    const auto* const filling = registry_.filling(place);
    return filling && !filling->data.empty() && registry_.poolOf(place).conf.backup.on;
}

// Sockets belong to the address: one that stays in the file keeps its socket and its backlog.
Result<> ControlPlane::openListeners(const conf::Config& config, TlsContexts tls) {
    std::vector<ListenerState> fresh;
    auto& current = registry_.listeners();
    REGROW_TRY(const auto routes, buildRoutes(config));
    for (const auto& listener : config.listeners) {
        const auto same = std::ranges::find_if(
            current, [&](const auto& l) { return l.conf.listen == listener.listen; });
        ListenerState state;
        state.conf = listener;
        state.routes = routes[fresh.size()];
        state.tls = tls.server(fresh.size());
        if (same != current.end()) {
            state.slot = same->slot;
            state.stats = same->stats;
            state.clients = same->clients;
            if (listener.listen.isUnix())
                ::chmod(listener.listen.host().c_str(), static_cast<mode_t>(listener.unix_mode));
        } else {
            auto slot = workers_->listen(listener.listen, listener.unix_mode);
            if (!slot) {  // a failed reload leaves everything as it was
                for (const auto& opened : fresh)
                    if (std::ranges::none_of(current,
                                             [&](const auto& l) { return l.slot == opened.slot; }))
                        workers_->unlisten(opened.slot);
                return std::unexpected(std::move(slot).error());
            }
            state.slot = *slot;
            state.stats = std::make_shared<ListenerStats>(registry_.workers());
        }
        if (listener.accept.on() && !state.clients)
            state.clients = std::make_shared<net::ClientTable>(Random::fromSystem().next());
        fresh.push_back(std::move(state));
    }
    for (const auto& old : current)
        if (std::ranges::none_of(fresh, [&](const auto& l) { return l.slot == old.slot; }))
            workers_->unlisten(old.slot);
    current = std::move(fresh);
    tls_ = std::move(tls);
    return {};
}

// What the pools of the configuration just taken speak, and what clients will say of our
// certificates.
void ControlPlane::applyTls() {
    for (auto& [name, pool] : registry_.pools()) pool.tls = tls_.client(name);
    for (const auto& objection : tls_.objections()) log::warn("tls", "{}", objection);
}

void ControlPlane::everyFiveSeconds() {
    for (const auto& [name, pool] : registry_.pools())
        for (const auto& place : pool.places) latencies_.sample(place->slot, *place->stats);
    if (const auto saved = counters_.save(registry_); !saved)
        log::warn("counters", "{}", saved.error().message);
    events_.sync();  // first: the journal must not know of more than is on disk
    if (const auto noted = journal_->eventSeq(events_.writtenSeq()); !noted)
        log::error("journal", "{}", noted.error().message);
    for (auto& [name, pool] : registry_.pools()) pool.panic.tick({}, loop_.now());
    driver_.gateChanged();
    returns_.lookAll();
}

Status ControlPlane::status() const {
    return buildStatus({registry_, counters_, latencies_, health_, backups_, &servers_.supervisor(),
                        loop_.now(), started_, draining_});
}

std::vector<Event> ControlPlane::events(const std::string& pool, const std::string& backend,
                                        uint64_t since) const {
    return events_.select(pool, backend, since);
}

std::vector<SnapshotStatus> ControlPlane::snapshots() const {
    std::vector<SnapshotStatus> all;
    for (const auto& [name, pool] : registry_.pools())
        for (const auto& place : pool.places)
            for (const auto& snapshot : place->snapshots) all.push_back(snapshotStatus(snapshot));
    return all;
}

std::shared_ptr<void> ControlPlane::subscribe(std::function<void(const Event&)> listener) {
    return events_.subscribe(std::move(listener));
}

bool ControlPlane::ready() const {
    if (draining_) return false;
    for (const auto& [name, pool] : registry_.pools())
        if (std::ranges::none_of(pool.places,
                                 [&](const auto& place) { return accepting(registry_, *place); }))
            return false;
    return true;
}

void ControlPlane::drain(Duration deadline, std::move_only_function<void()> done) {
    draining_ = true;
    events_.add("", "", "service",
                "draining: no new connections, at most " +
                    std::to_string(static_cast<int>(toSeconds(deadline))) +
                    " s for those under way");
    workers_->drain(deadline, std::move(done));
}

void ControlPlane::reopenLogs() {
    workers_->reopenAccessLog();
}

Result<std::string> ControlPlane::reload(const std::string& actor) {
    REGROW_TRY(auto config, options_.reload());
    if (config->state_dir != registry_.config().state_dir)
        return fail(Code::refused, Source::config,
                    "state_dir cannot change while running; restart for that");
    REGROW_CHECK(keysReadable(*config));
    const std::string waits = needsRestart(registry_.config(), *config);
    REGROW_TRY(auto tls, TlsContexts::load(*config, tls_));
    REGROW_CHECK(openListeners(*config, std::move(tls)));
    take(std::move(config));
    if (!waits.empty())
        events_.add("", "", "reload",
                    waits + " changed in the file; that takes effect with the next start");
    events_.add("", "", "reload",
                "configuration taken, generation " + std::to_string(registry_.generation()),
                {{"by", actor}});
    return "reloaded, generation " + std::to_string(registry_.generation()) +
           (waits.empty()
                ? ""
                : "; " + waits + " changed in the file, which takes effect with the next start");
}

void ControlPlane::take(std::shared_ptr<const conf::Config> config) {
    const auto removed = registry_.take(std::move(config));
    applyTls();
    for (const auto& place : removed)
        events_.add(place->key.pool, place->key.backend, "reload",
                    "no longer in the configuration; its server is left as it is");
    registry_.reassignEdited();
    health_.configure();
    names_.configure();
    servers_.bringUp();
    backups_.configure();
    views_.changed();
    driver_.gateChanged();
}

}  // namespace regrow::control
