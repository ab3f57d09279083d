#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "backup/pack.h"
#include "backup/repository.h"
#include "backup/snapshot_store.h"

// Ends packs, puts them into the repository and reads them back, on a thread of its own beside the
// one that fills the next: hashing, waiting for the disk and reading back would otherwise hold that
// one up (a first backup took 1.6 times as long). One pack at a time, so at most two are in memory.
//
// One thread calls; what comes out of it is told in the order in which packs went in.
namespace regrow::backup {

struct StoredPack {
    uint32_t number = 0;  // the caller's name for it
    PackContents contents;
    Result<> stored;
    std::optional<Proof> proof;  // it was read back and is good
};

class PackStorer {
  public:
    PackStorer(Repository& repository, const Keyring& keys, bool read_back);
    ~PackStorer();  // ends the pack it is at
    PackStorer(const PackStorer&) = delete;
    PackStorer& operator=(const PackStorer&) = delete;

    // Waits until the one before is stored.
    void store(uint32_t number, PackWriter pack);
    // What has ended since the last call; `wait`: all of it.
    std::vector<StoredPack> ended(bool wait);

  private:
    struct Job {
        uint32_t number;
        PackWriter pack;
    };
    void work();
    StoredPack carryOut(Job job);
    Result<> put(const PackWriter::Finished& pack);

    Repository& repository_;
    const Keyring& keys_;
    bool read_back_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<Job> next_;
    bool busy_ = false;
    bool ending_ = false;
    std::vector<StoredPack> ended_;
    std::jthread thread_;
};

}  // namespace regrow::backup
