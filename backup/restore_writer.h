#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "backup/metadata.h"
#include "backup/restore_plan.h"
#include "backup/restore_target.h"
#include "backup/tree_dir.h"

namespace regrow::backup {

// What the workers of one restore share: how many pieces each file still waits for, and who came to
// it first.
class FileStates {
  public:
    explicit FileStates(const std::vector<uint32_t>& pending);
    bool firstTouch(uint32_t entry) {
        return !touched_[entry].exchange(true, std::memory_order_relaxed);
    }
    bool touched(uint32_t entry) const { return touched_[entry].load(std::memory_order_relaxed); }
    // True for the one who wrote the last piece. Releases what was written to whoever finishes the
    // file.
    bool lastPiece(uint32_t entry) {
        return pending_[entry].fetch_sub(1, std::memory_order_acq_rel) == 1;
    }

  private:
    std::unique_ptr<std::atomic<uint32_t>[]> pending_;
    std::unique_ptr<std::atomic<bool>[]> touched_;
};

// Writes pieces into files, in place, and finishes a file (owner, attributes, mode, times) with its
// last piece. With `compare`, of a piece that differs from what stands there only the blocks that
// do are written: a chunk of 256 KiB with one changed row costs the disk 4 KiB. One a worker; a
// file may be written by several workers at once, at different offsets.
class FileWriter {
  public:
    FileWriter(TreeDir tree, std::span<const Entry> entries, const RestoreTarget& target,
               FileStates& states, bool compare);

    Result<> write(const PieceRef& piece, std::string_view bytes);
    // A file that waits for no piece: made, cut to its size, given its metadata.
    Result<> finish(uint32_t entry);

    std::vector<Problem>& problems() { return problems_; }
    uint64_t written() const { return written_; }
    uint64_t finished() const { return finished_; }

  private:
    Result<int> open(uint32_t entry);
    Result<> writeDiffering(int fd, uint64_t at, std::string_view bytes, const Entry& entry);
    Result<> writeAt(int fd, uint64_t at, std::string_view bytes, const Entry& entry);
    Result<> shape(uint32_t entry, int fd);
    Result<> applyMetadataOf(uint32_t entry);

    TreeDir tree_;
    std::span<const Entry> entries_;
    const RestoreTarget& target_;
    FileStates& states_;
    bool compare_;
    std::string there_;  // what stands in the file now
    UniqueFd fd_;        // of open_entry_
    uint32_t open_entry_ = UINT32_MAX;
    OwnerNames owners_;
    std::vector<Problem> problems_;
    uint64_t written_ = 0;
    uint64_t finished_ = 0;
};

}  // namespace regrow::backup
