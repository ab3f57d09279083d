#pragma once

#include <memory>
#include <mutex>

#include "backup/index.h"
#include "backup/store.h"

// The inside of an open store; for store.cc and writer.cc.
namespace regrow::backup {

struct Store::Impl {
    Impl(std::unique_ptr<Repository> r, Keyring ring)
        : repository(std::move(r)),
          keys(std::move(ring)),
          snapshots(*repository, keys),
          frames(*repository, keys, packs),
          chunker(keys.chunker()) {}

    // Looks for a sound copy in any pack the repository has.
    Result<std::string> bytesElsewhere(const Mac& mac, const ChunkId& id, uint32_t length);

    std::unique_ptr<Repository> repository;
    Keyring keys;
    PackTable packs;
    SnapshotStore snapshots;
    FrameReader frames;
    Chunker chunker;
    std::mutex detour_mutex;
    std::unique_ptr<ChunkIndex> detour_index;  // loaded when first something is damaged
};

}  // namespace regrow::backup
