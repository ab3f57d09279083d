#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backup/keyring.h"
#include "backup/pack.h"
#include "backup/pack_table.h"
#include "backup/repository.h"

// Which pieces a repository has, and where: for deduplication only, a restore never loads it.
//
// The packs' own tables are the truth; index runs are a cache of them, one object for many packs.
// Loading lists the packs, takes what runs cover, and reads the tables of the rest: a lost or
// damaged run costs time, never data. Packs that are gone, of another size, known as bad, or
// condemned by a prune are not indexed, so their pieces are stored again when they come.
//
// A run is written when its packs were read back (Writer::prove): a pack no run covers is one
// nobody has checked yet.
namespace regrow::backup {

// One sorted run: 36 bytes a piece, searched where it lies (a file's mapping or a buffer). Layout,
// little endian:
//   version u8 | zero x3 | packs u32 | frames u32 | records u32
//   pack   72: id 32 | size u64 | key id u32 | salt 16 | kind u8 | zero x3 | frames u32 | first
//   frame u32 frame   8: stored u32 | plain u32, top bit: compressed record 36: first 20 bytes of
//   the id | pack u32 | frame u32 | offset in the frame u32 | length u32; ascending
// 20 bytes of a keyed hash do not collide by accident, and nobody without the key can search for a
// collision.
class IndexRun {
  public:
    struct Hit {
        uint32_t pack = 0;  // within the run
        uint32_t frame = 0;
        uint32_t frame_offset = 0;
        uint32_t length = 0;
    };

    static std::string encode(
        const std::vector<PackContents>& packs);  // without piece lists merged: from whole tables
    // Code::corrupt. Looks at sizes only; lookups check what they use.
    static Result<IndexRun> parse(std::string bytes);

    uint32_t packCount() const { return packs_; }
    uint64_t pieceCount() const { return records_; }
    PackInfo pack(uint32_t number) const;
    uint64_t packSize(uint32_t number) const;
    std::vector<FrameSpan> frames(uint32_t number) const;
    // All places of an id; usually one.
    std::vector<Hit> find(const ChunkId& id) const;
    // Back to tables, with ids cut to 20 bytes: enough for merging runs.
    static std::string merge(const std::vector<const IndexRun*>& runs,
                             const std::set<PackId>& keep);

  private:
    std::string_view record(uint64_t i) const;
    Hit hit(uint64_t i) const;

    std::string bytes_;
    uint32_t packs_ = 0;
    uint32_t frames_ = 0;
    uint32_t records_ = 0;
};

class ChunkIndex {
  public:
    struct Place {
        uint32_t pack = 0;  // in the PackTable
        uint32_t frame = 0;
        uint32_t frame_offset = 0;
    };

    static Result<ChunkIndex> load(Repository& repository, const Keyring& keys, PackTable& packs);

    std::optional<Place> find(const ChunkId& id, uint32_t length) const;
    // Every known place but those in `without` (a pack that turned out bad).
    std::vector<Place> findAll(const ChunkId& id, uint32_t length) const;
    // A piece of a pack being written.
    void add(const ChunkId& id, uint32_t length, const Place& place);
    // Forgets a pack: its pieces are not found any more.
    void forget(const PackId& id);

    // Packs nobody has read back yet, of those found when loading and those told by addUnproven().
    const std::map<PackId, PackContents>& unproven() const { return unproven_; }
    void addUnproven(PackContents contents) {
        unproven_.insert_or_assign(contents.info.id, std::move(contents));
    }
    // Writes a run of these, merges small runs when there are many. Their pieces stay findable.
    Result<> proved(const std::vector<PackId>& ids);

    const std::vector<std::string>& problems() const {
        return problems_;
    }  // runs and tables that could not be read

  private:
    struct LoadedRun {
        std::string object;
        uint64_t size = 0;
        IndexRun run;
        std::vector<std::optional<uint32_t>> numbers;  // in the PackTable; nothing: not to be used
    };
    struct Held {
        uint32_t length = 0;
        Place place;
    };
    struct HashId {
        size_t operator()(const ChunkId& id) const;
    };

    ChunkIndex(Repository& repository, const Keyring& keys, PackTable& packs)
        : repository_(&repository), keys_(&keys), packs_(&packs) {}
    Result<std::map<PackId, uint64_t>> usablePacks();
    Result<> loadRuns(const std::map<PackId, uint64_t>& usable, std::set<PackId>& covered);
    void useRun(LoadedRun run, const std::map<PackId, uint64_t>& usable, std::set<PackId>& covered);
    void readTable(const PackId& id, uint64_t size);
    Result<> mergeSmallRuns();

    Repository* repository_;
    const Keyring* keys_;
    PackTable* packs_;
    std::vector<LoadedRun> runs_;
    std::unordered_multimap<ChunkId, Held, HashId> recent_;  // of packs no run covers
    std::map<PackId, PackContents> unproven_;
    std::vector<std::string> problems_;
};

// bad/HEX and condemned/HEX: one object a pack.
std::string badPackName(const PackId& id);
std::string condemnedPackName(const PackId& id);
Result<> markBad(Repository& repository, const Keyring& keys, const PackId& id,
                 std::string_view finding);
// The ids under a folder of such marks; names that are none are ignored.
Result<std::set<PackId>> markedPacks(Repository& repository, std::string_view folder);

}  // namespace regrow::backup
