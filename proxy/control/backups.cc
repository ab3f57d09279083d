#include "proxy/control/backups.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace regrow::control {
namespace {

using std::chrono::seconds;

constexpr Duration kRefreshEvery = seconds(30);  // they may be written by others, and may go away
constexpr Duration kAskAgain = seconds(2);  // one that does not answer: servers may wait for it

recovery::BackendKey keyOf(const std::string& name) {
    const auto slash = name.find('/');
    return {name.substr(0, slash), name.substr(slash + 1)};
}

void insert(std::vector<recovery::SnapshotInfo>& snapshots,
            const recovery::SnapshotInfo& snapshot) {
    std::erase_if(snapshots, [&](const auto& known) { return known.id == snapshot.id; });
    snapshots.push_back(snapshot);
}

// What a recovery would not restore covers nothing.
bool covers(const recovery::SnapshotInfo& s) {
    return s.proven && !s.suspicious && !s.incomplete;
}

}  // namespace

recovery::SnapshotRef refOf(const recovery::SnapshotInfo& s) {
    return {.id = s.id,
            .epoch = s.epoch,
            .number = s.number,
            .captured = s.time,
            .bytes = s.bytes,
            .proven = s.proven,
            .complete = !s.incomplete,
            .suspicious = s.suspicious,
            .rescue = s.rescue};
}

Backups::Backups(EventLoop& loop, Registry& registry, recovery::LocalSteps& steps, EventLog& events)
    : loop_(loop),
      registry_(registry),
      steps_(steps),
      events_(events),
      due_(loop, [this] { runDue(); }),
      refresh_(loop, [this] { refresh(); }) {}

recovery::RepositoryRef Backups::refOf(const PoolState& pool) const {
    const auto& repository =
        registry_.config().repositories.at(pool.conf.backup.repositories.front());
    return {repository.path, repository.key_file};
}

void Backups::configure() {
    std::map<std::string, Repository> kept;
    for (const auto& [name, pool] : registry_.pools()) {
        const auto repository = registry_.repositoryOf(pool);
        if (!repository) continue;
        kept[*repository] = repositories_[*repository];
        for (const auto& place : pool.places)
            schedule_.configure(place->name(), {pool.conf.backup.every, pool.conf.backup.full});
    }
    repositories_ = std::move(kept);
    refresh();
    runDue();
}

void Backups::cameUp(Place& place) {
    if (!registry_.poolOf(place).conf.backup.on) return;
    for (const auto& snapshot : place.snapshots)
        if (snapshot.type == "full" && snapshot.lineage == registry_.assignment(place).lineage)
            schedule_.knownFull(
                place.name(),
                loop_.now() - std::max(Duration{}, std::chrono::duration_cast<Duration>(
                                                       Wall::now() - snapshot.time)));
    schedule_.cameUp(place.name(), loop_.now());
    runDue();
}

void Backups::disturbed(Place& place, const std::string& reason) {
    if (!registry_.poolOf(place).conf.backup.on) return;
    schedule_.pause(place.name(), reason);
}

Result<> Backups::request(Place& place, bool full) {
    if (!registry_.poolOf(place).conf.backup.on)
        return fail(Code::invalid, Source::config,
                    "pool " + place.key.pool + " has no backup section");
    REGROW_CHECK(schedule_.request(place.name(), full));
    runDue();
    return {};
}

std::optional<recovery::BackupSchedule::Status> Backups::scheduleOf(const Place& place) const {
    return schedule_.status(place.name());
}

void Backups::runDue() {
    while (const auto due = schedule_.next(loop_.now())) scheduled(*due);
    if (const auto wake = schedule_.wakeAt())
        due_.after(std::max<Duration>(*wake - loop_.now(), std::chrono::milliseconds(1)));
}

void Backups::scheduled(const recovery::BackupSchedule::Due& due) {
    const auto key = keyOf(due.backend);
    Place* const place = registry_.place(key);
    const auto* const server = place ? registry_.filling(*place) : nullptr;
    if (!server) {
        schedule_.finished(due, fail(Code::cancelled, Source::us, "nobody fills the place"),
                           loop_.now());
        return;
    }
    const auto& pool = registry_.poolOf(*place);
    const auto assignment = registry_.assignment(*place);
    recovery::CaptureRequest request{.repository = refOf(pool),
                                     .name = due.backend,
                                     .data = server->data,
                                     .full = due.full,
                                     .exclude = pool.conf.backup.exclude,
                                     .epoch = assignment.epoch,
                                     .lineage = assignment.lineage,
                                     .rescue = false,
                                     .expect_marker = true};
    captures_[due.backend] = steps_.capture(
        request, [](const recovery::Progress&) {},
        [this, due, key, started = Wall::now()](Result<recovery::CaptureResult> result) {
            finished(due, key, started, std::move(result));
        });
}

void Backups::finished(const recovery::BackupSchedule::Due& due, const recovery::BackendKey& key,
                       WallTime started, Result<recovery::CaptureResult> result) {
    const auto handle = std::move(captures_[due.backend]);  // kept until the end of this function
    captures_.erase(due.backend);
    Place* const place = registry_.place(key);
    const auto before = schedule_.status(due.backend);
    const Result<> outcome = result ? Result<>() : std::unexpected(result.error());
    const bool counts = schedule_.finished(due, outcome, loop_.now());
    if (place && result)
        noteSnapshot(*place, result->snapshot, result->unchanged || !counts,
                     counts ? started : WallTime{});
    if (place && !result && counts)
        noteFailure(*place, result.error(), !before || before->failures == 0);
    if (place && !result && counts && result.error().code == Code::refused &&
        result.error().source == Source::disk)
        doubted_(*place);
    runDue();
}

// `started` says until when a proven capture covers the data: everything before its start is in it.
void Backups::noteSnapshot(Place& place, const recovery::SnapshotInfo& snapshot, bool unchanged,
                           WallTime started) {
    insert(place.snapshots, snapshot);
    fresh_[snapshot.id] = loop_.now();
    if (covers(snapshot) && started > place.last_captured.value_or(WallTime{}))
        place.last_captured = started;
    if (unchanged) return;
    ++repositories_[registry_.poolOf(place).conf.backup.repositories.front()]
          .snapshots;  // until it is listed again
    std::vector<std::pair<std::string, std::string>> details{
        {"snapshot", snapshot.id},
        {"type", snapshot.type},
        {"new_bytes", std::to_string(snapshot.new_bytes)},
        {"proven", snapshot.proven ? "yes" : "no"}};
    for (const auto& problem : snapshot.problems) details.emplace_back("problem", problem);
    std::string text = "snapshot " + snapshot.id.substr(0, 12) + " (" + snapshot.type + ", " +
                       humanSize(snapshot.bytes) + ", " + humanSize(snapshot.new_bytes) + " new)" +
                       (snapshot.proven ? ", proven" : ", not proven");
    if (snapshot.incomplete) text += ", incomplete";
    if (snapshot.suspicious) text += ", held back: most files vanished since the one before";
    events_.add(place.key.pool, place.key.backend, "backup", text, std::move(details));
    changed_();
}

void Backups::noteFailure(Place& place, const Error& error, bool first) {
    if (first)
        events_.add(
            place.key.pool, place.key.backend, "backup", "capture failed: " + error.message,
            {{"code", std::string(name(error.code))}, {"source", std::string(name(error.source))}});
    else
        log::debug("backup " + place.name(), "capture failed again: {}", error.message);
}

recovery::Handle Backups::list(Place& place,
                               recovery::OnDone<std::vector<recovery::SnapshotInfo>> done) {
    const auto& pool = registry_.poolOf(place);
    const auto repository = pool.conf.backup.repositories.front();
    return steps_.listSnapshots(
        refOf(pool), "",
        [this, repository, key = place.key, began = loop_.now(),
         done = std::move(done)](Result<recovery::SnapshotListing> listing) mutable {
            if (!listing) return done(std::unexpected(std::move(listing).error()));
            noteListing(repository, began, *listing);
            Place* const found = registry_.place(key);
            done(found ? found->snapshots : std::vector<recovery::SnapshotInfo>{});
        });
}

recovery::Handle Backups::capture(Place& place, const conf::Server& server, uint64_t epoch,
                                  const std::string& lineage, bool rescue,
                                  recovery::OnProgress progress, OnSnapshot done) {
    const auto& pool = registry_.poolOf(place);
    recovery::CaptureRequest request{.repository = refOf(pool),
                                     .name = place.name(),
                                     .data = server.data,
                                     .full = !rescue,
                                     .exclude = pool.conf.backup.exclude,
                                     .epoch = epoch,
                                     .lineage = lineage,
                                     .rescue = rescue,
                                     .expect_marker = true};
    return steps_.capture(request, std::move(progress),
                          [this, key = place.key, done = std::move(done),
                           started = Wall::now()](Result<recovery::CaptureResult> result) {
                              if (!result) return done(std::unexpected(std::move(result).error()));
                              if (Place* const found = registry_.place(key))
                                  noteSnapshot(*found, result->snapshot, result->unchanged,
                                               started);
                              done(result->snapshot);
                          });
}

void Backups::refresh() {
    refresh_.after(kRefreshEvery);
    for (auto& [name, repository] : repositories_) {
        if (listings_.contains(name)) continue;
        if (repository.opened)
            readList(name);
        else
            open(name);
    }
}

// One that state_dir never recorded is made; a recorded one that is gone, or is another one by now,
// is an error: taking it for an empty repository would mean starting anew over what was lost.
void Backups::open(const std::string& name) {
    const auto& conf = registry_.config().repositories.at(name);
    const auto recorded = registry_.journal().saved().repositories.find(name);
    const std::string known =
        recorded == registry_.journal().saved().repositories.end() ? "" : recorded->second;
    listings_[name] = steps_.openRepository(
        {conf.path, conf.key_file}, known.empty(),
        [this, name, known](Result<recovery::RepositoryOpened> opened) {
            const auto handle = std::move(listings_[name]);
            listings_.erase(name);
            if (!opened) return unreachable(name, opened.error());
            if (!known.empty() && opened->id != known)
                return unreachable(
                    name, {Code::refused, Source::repository, false,
                           "it is not the repository it was (id " + opened->id + ", recorded " +
                               known + "); bring the old one back, or name a new one"});
            if (known.empty())
                if (const auto written = registry_.journal().repository(name, opened->id); !written)
                    return unreachable(name, written.error());
            if (opened->created) events_.add("", "", "backup", "repository " + name + " is made");
            repositories_[name].opened = true;
            readList(name);
        });
}

void Backups::readList(const std::string& name) {
    const auto& conf = registry_.config().repositories.at(name);
    listings_[name] = steps_.listSnapshots(
        {conf.path, conf.key_file}, "",
        [this, name, began = loop_.now()](Result<recovery::SnapshotListing> listing) {
            const auto handle = std::move(listings_[name]);
            listings_.erase(name);
            if (listing)
                noteListing(name, began, *listing);
            else
                unreachable(name, listing.error());
        });
}

void Backups::unreachable(const std::string& name, const Error& error) {
    auto& state = repositories_[name];
    if (state.reachable || state.error.empty())
        events_.add("", "", "backup", "repository " + name + " does not answer: " + error.message,
                    {{"code", std::string(regrow::name(error.code))},
                     {"source", std::string(regrow::name(error.source))}});
    refresh_.after(kAskAgain);
    state.reachable = false;
    state.error = error.message;
}

void Backups::noteListing(const std::string& name, Instant began,
                          const recovery::SnapshotListing& listing) {
    auto& state = repositories_[name];
    const bool came_back = !state.reachable && !state.error.empty();
    state = {true, listing.snapshots.size(), listing.space, "", true};
    for (auto& [pool_name, pool] : registry_.pools())
        if (registry_.repositoryOf(pool) == name)
            for (const auto& place : pool.places) takeListed(*place, began, listing);
    if (came_back) events_.add("", "", "backup", "repository " + name + " answers again");
    changed_();
}

void Backups::takeListed(Place& place, Instant began, const recovery::SnapshotListing& listing) {
    place.listed = true;
    place.damaged_snapshots = listing.damaged;
    auto before = std::exchange(place.snapshots, {});
    for (const auto& snapshot : listing.snapshots)
        if (snapshot.name == place.name()) insert(place.snapshots, snapshot);
    for (const auto& snapshot : before) {
        const auto ended = fresh_.find(snapshot.id);
        if (ended == fresh_.end()) continue;
        if (ended->second >= began)
            insert(place.snapshots, snapshot);
        else
            fresh_.erase(ended);
    }
    for (const auto& snapshot : place.snapshots)
        if (covers(snapshot))
            place.last_captured = std::max(place.last_captured.value_or(WallTime{}), snapshot.time);
}

}  // namespace regrow::control
