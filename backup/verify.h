#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backup/store.h"

// Reads a repository, or what one snapshot needs, and checks all of it: each pack's hash, each
// frame's seal, each piece's id, each snapshot's references. Damage is a finding, not an error: an
// error means that checking itself failed.
namespace regrow::backup {

struct DamagedPack {
    PackId id{};
    bool missing = false;
    std::vector<std::string> findings;  // one line each: what is wrong
};

struct DamagedFile {
    std::string path;
    uint64_t bytes_lost = 0;
};

struct LostRange {  // a part of the tree cannot be read
    std::string first;
    std::string end;  // not included; empty: to the tree's end; equal to first: just this one file
    std::string error;
};

struct SnapshotDamage {
    Snapshot snapshot;
    std::string error;  // not empty: the tree cannot be read at all
    std::vector<LostRange> ranges;
    std::vector<DamagedFile> files;  // with bytes that exist nowhere else in the repository
};

struct VerifyReport {
    uint64_t packs = 0;
    uint64_t frames = 0;
    uint64_t pieces = 0;
    uint64_t bytes = 0;  // as stored
    uint64_t snapshots = 0;
    std::vector<DamagedPack> damaged_packs;
    std::vector<DamagedSnapshot> damaged_snapshots;  // their objects cannot be read
    std::vector<SnapshotDamage> losses;
    std::vector<std::string>
        notes;  // harmless: index runs that could not be read and are made again
    bool ok() const { return damaged_packs.empty() && damaged_snapshots.empty() && losses.empty(); }
};

struct VerifyOptions {
    std::optional<Snapshot> only;  // what this snapshot needs; else everything
    std::function<void(uint64_t bytes_done, uint64_t bytes_total)> progress;
    bool mark_bad = true;  // list damaged packs, so that the next backup stores their pieces again
};

Result<VerifyReport> verify(Store& store, const VerifyOptions& options = {});

}  // namespace regrow::backup
