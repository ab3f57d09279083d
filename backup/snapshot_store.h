#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backup/keyring.h"
#include "backup/manifest.h"
#include "backup/repository.h"

// The snapshots of a repository: publishing one is creating its object, and that is the commit
// point.
//
// Objects are snapshots/FOLDER/NUMBER, where NUMBER is exactly one more than the newest. Creating
// it is conditional, so each publish saw the one before it: epochs never fall as numbers rise, and
// order by number is order by (epoch, number). (Names holding the epoch as well would let two
// writers take the same number.) The newest is never deleted, or its number would be given twice.
// Any thread.
namespace regrow::backup {

struct Snapshot {
    SnapshotId id{};
    SnapshotHeader header;
    WallTime stored_at;           // by the repository's clock
    bool proven = false;          // its packs were read back and opened
    std::string shortId() const;  // 12 hex digits
};

struct DamagedSnapshot {
    std::string object;
    Error error;
};

struct SnapshotList {
    std::vector<Snapshot> snapshots;  // oldest first
    std::vector<DamagedSnapshot>
        damaged;  // objects that are there and cannot be read; never silently skipped
};

// The newest snapshot somebody saw: kept outside the repository, it shows a store that was rolled
// back.
struct SeenSnapshot {
    uint64_t number = 0;
    SnapshotId id{};
};

struct Proof {
    WallTime at;
    uint64_t packs = 0;
    uint64_t frames = 0;
    uint64_t bytes = 0;  // as stored
};

struct Pin {
    std::string object;
    std::string owner;  // "recovery 17 on host a"
    SnapshotId snapshot{};
    WallTime expires;
};

class SnapshotStore {
  public:
    SnapshotStore(Repository& repository, const Keyring& keys);

    // Fills in number and tree_hash; refuses an epoch below the newest's (Code::refused). `root`:
    // writeTree()'s bytes.
    Result<Snapshot> publish(SnapshotHeader header, std::string_view root);
    // The tree's root node, its hash and seal checked.
    Result<std::string> rootOf(const Snapshot& snapshot);
    // Takes back a snapshot this process has just published (its packs turned out to be gone).
    Result<> withdraw(const Snapshot& snapshot);

    Result<SnapshotList> list(std::string_view name);
    Result<SnapshotList> listAll();  // by name, then number
    // The newest readable one; nothing when the name has none.
    Result<std::optional<Snapshot>> latest(std::string_view name);
    // "latest", a time ("2026-11-22T20:03:33Z": the newest captured at or before it) or an id's
    // prefix of 4 hex digits and up.
    Result<Snapshot> find(std::string_view name, std::string_view what);

    // Code::refused when the newest in the store is older than, or not a successor of, what was
    // seen.
    Result<> checkNotRolledBack(std::string_view name, const SeenSnapshot& seen);

    Result<> storeProof(const Snapshot& snapshot, const Proof& proof);
    Result<std::optional<Proof>> proofOf(const Snapshot& snapshot);

    Result<Pin> pin(const Snapshot& snapshot, std::string_view owner, WallTime expires);
    Result<> unpin(const Pin& pin);
    Result<std::vector<Pin>>
    pins();  // those not expired by `now` and those expired: the caller compares

  private:
    Result<Snapshot> read(const ObjectInfo& object);
    Result<SnapshotList> readObjects(const std::vector<ObjectInfo>& objects);
    Result<std::optional<Snapshot>> newestReadable(const std::vector<ObjectInfo>& objects);

    Repository& repository_;
    const Keyring& keys_;
};

}  // namespace regrow::backup
