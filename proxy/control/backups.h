#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/event_loop.h"
#include "proxy/control/event_log.h"
#include "proxy/control/registry.h"
#include "proxy/recovery/backup_schedule.h"
#include "proxy/recovery/steps.h"

namespace regrow::control {

// Captures on schedule, knows what snapshots there are, and whether the repositories answer. Every
// capture and listing is a child process (LocalSteps), so a hung disk delays nobody else. Control
// loop only.
class Backups {
  public:
    using OnSnapshot = std::function<void(Result<recovery::SnapshotInfo>)>;
    struct Repository {
        bool reachable = false;
        uint64_t snapshots = 0;
        recovery::RepositorySpace space;
        std::string error;
        bool opened = false;  // it is the one that was recorded
    };

    Backups(EventLoop& loop, Registry& registry, recovery::LocalSteps& steps, EventLog& events);
    // A proven snapshot was added or the repository began or ceased to answer: gates look again.
    void onChange(std::function<void()> changed) { changed_ = std::move(changed); }

    // A capture found another marker in the data, or none.
    void onDoubt(std::function<void(Place&)> doubted) { doubted_ = std::move(doubted); }

    // After a configuration was taken: schedules follow it, repositories are looked at.
    void configure();
    // The place serves from marked data; its schedule begins, the first capture at once.
    void cameUp(Place& place);
    // Its state changes: nothing is captured until cameUp(), what is under way is discarded.
    void disturbed(Place& place, const std::string& reason);
    Result<> request(Place& place, bool full);
    // Of the schedule's own doing: failures in a row, what is due.
    std::optional<recovery::BackupSchedule::Status> scheduleOf(const Place& place) const;

    // Reads the list again; the place's `snapshots` follow. For the choice of a recovery.
    recovery::Handle list(Place& place, recovery::OnDone<std::vector<recovery::SnapshotInfo>> done);
    // Outside the schedule: the rescue from a dead server's disk, the first one of a new lineage.
    recovery::Handle capture(Place& place, const conf::Server& server, uint64_t epoch,
                             const std::string& lineage, bool rescue, recovery::OnProgress progress,
                             OnSnapshot done);

    const std::map<std::string, Repository>& repositories() const { return repositories_; }
    recovery::RepositoryRef refOf(const PoolState& pool) const;

  private:
    void refresh();
    void open(const std::string& name);  // makes it when state_dir never recorded it
    void readList(const std::string& name);
    void unreachable(const std::string& name, const Error& error);
    void runDue();
    void scheduled(const recovery::BackupSchedule::Due& due);
    void finished(const recovery::BackupSchedule::Due& due, const recovery::BackendKey& key,
                  WallTime started, Result<recovery::CaptureResult> result);
    void noteSnapshot(Place& place, const recovery::SnapshotInfo& snapshot, bool unchanged,
                      WallTime started);
    void noteListing(const std::string& repository, Instant began,
                     const recovery::SnapshotListing& listing);
    void takeListed(Place& place, Instant began, const recovery::SnapshotListing& listing);
    void noteFailure(Place& place, const Error& error, bool first);

    EventLoop& loop_;
    Registry& registry_;
    recovery::LocalSteps& steps_;
    EventLog& events_;
    std::function<void()> changed_ = [] {};
    std::function<void(Place&)> doubted_ = [](Place&) {};
    recovery::BackupSchedule schedule_;
    std::map<std::string, recovery::Handle> captures_;  // by place name
    std::map<std::string, recovery::Handle> listings_;  // by repository
    std::map<std::string, Repository> repositories_;
    // By snapshot: when a capture ended. A listing that began before does not have it yet.
    std::map<std::string, Instant> fresh_;
    Timer due_;
    Timer refresh_;
};

// As the recovery machine chooses among them.
recovery::SnapshotRef refOf(const recovery::SnapshotInfo& snapshot);

}  // namespace regrow::control
