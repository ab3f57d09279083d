#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backup/entry.h"
#include "backup/frame_reader.h"
#include "backup/keyring.h"
#include "backup/pack_table.h"
#include "backup/repository.h"
#include "backup/snapshot_store.h"
#include "backup/tree.h"

// An open repository: what capture, restore, verify and the verbs work with.
//
//   auto store  = *Store::open(path, key_file);
//   auto writer = *store->writer();
//   piece       = *writer->add(file_offset, bytes);                  stored once, however often it
//   comes snapshot    = *writer->publish(draft, std::move(entries));       the commit proof       =
//   *writer->prove();                                  read back and opened
//
//   store->snapshots().find(name, "latest"); store->tree(snapshot);  store->frames().fetch(pack,
//   frames, …)
//
// Thread: Store and what its accessors give may be used by any thread; a Writer belongs to one.
namespace regrow::backup {

class Writer;

class Store {
  public:
    // `regrow repo init`: refuses what exists (Code::exists). Leaves the repository openable, or
    // nothing that looks like one.
    static Result<> initialise(const std::string& path, const std::string& key_file);
    static Result<> initialise(Repository& repository, const OperatorKey& key, ScryptCost cost = {},
                               ChunkerLimits limits = {});
    static Result<std::unique_ptr<Store>> open(const std::string& path,
                                               const std::string& key_file);
    static Result<std::unique_ptr<Store>> open(std::unique_ptr<Repository> repository,
                                               const OperatorKey& key);
    ~Store();

    Repository& repository();
    const Keyring& keys() const;
    PackTable& packs();
    SnapshotStore& snapshots();
    const FrameReader& frames() const;
    const Chunker& chunker() const;

    // Entries in tree order (see pathLess), pieces resolved. The first form holds all of them in
    // memory.
    Result<std::vector<Entry>> tree(const Snapshot& snapshot);
    // With `on_lost` goes on past damaged parts of the tree, telling which paths are unknown.
    Result<> forEachEntry(const Snapshot& snapshot, const std::function<Result<>(Entry)>& on_entry,
                          const OnLost& on_lost = {});
    // Every pack the snapshot needs, for its tree and for its content: numbers into packs(). As far
    // as the tree can be read.
    Result<std::set<uint32_t>> packsOf(const Snapshot& snapshot);
    // A piece whose pack is missing or damaged, from any other place its id is stored at.
    Result<std::string> findPiece(const Piece& piece);

    // `read_back`: packs are read back while others are filled, so that prove() has little left.
    Result<std::unique_ptr<Writer>> writer(bool read_back = true);

  private:
    friend class Writer;
    struct Impl;
    Result<> walk(const Snapshot& snapshot, const std::function<Result<>(Entry)>& on_entry,
                  const OnLost& on_lost, std::set<uint32_t>& node_packs);
    explicit Store(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// What the capture knows of a snapshot before it is one; the rest of the header is counted or set
// by publish().
struct SnapshotDraft {
    std::string name;
    uint64_t epoch = 0;
    WallTime captured_at;
    SnapshotType type = SnapshotType::full;
    uint32_t flags = 0;
    std::string lineage;  // empty: the parent's, or a new one
    std::string capture;
    std::string host;
    std::string source;
    std::optional<Snapshot> parent;
    std::vector<std::string> problems;
    bool skip_unchanged = false;  // publish nothing when the tree is the parent's to the byte
};

struct Published {
    Snapshot snapshot;  // the parent when unchanged
    bool unchanged = false;
};

struct WriterStats {
    uint64_t bytes = 0;      // given to add()
    uint64_t new_bytes = 0;  // of these, not in the repository before
    uint64_t new_pieces = 0;
    uint64_t stored_bytes = 0;  // sealed, in finished packs
    uint64_t packs = 0;
};

// Adds to a repository. Holds a lease in it while it lives, so that a prune does not take packs
// this writer counts on. Never blocks other writers. Destroying it without publish() leaves packs
// that prune may take, and no snapshot.
class Writer {
  public:
    ~Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    // Bytes of at most the chunker's max (2 MiB), from Chunker::next(). The piece has id and place;
    // its pack is durable after publish().
    Result<Piece> add(uint64_t file_offset, std::string_view bytes);
    // Whether all of these (of a parent's tree) may be referred to again: their packs are there,
    // and neither known as bad nor condemned. If not, read the file again and add() it: that is how
    // a repository heals from live data.
    Result<bool> stillStored(const std::vector<Piece>& pieces);
    // Finishes the packs, writes the tree, publishes. Entries in any order; each path once; parents
    // present. A writer publishes once.
    Result<Published> publish(SnapshotDraft draft, std::vector<Entry> entries);
    // After publish(): reads back every pack that nobody has read back before and that this
    // snapshot needs, opens every frame, and records the proof. Code::corrupt names the packs that
    // failed; they are then listed as bad.
    Result<Proof> prove();
    const WriterStats& stats() const;

  private:
    friend class Store;
    struct Impl;
    explicit Writer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace regrow::backup
