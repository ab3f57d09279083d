#pragma once

#include <functional>
#include <string>

#include "backup/chunker.h"
#include "backup/entry.h"
#include "base/result.h"

// The data of a file, cut and handed on: holes are stepped over (SEEK_DATA), data extents are read
// once, front to back, through one buffer of the chunker's window. One thread.
namespace regrow::backup {

class ContentReader {
  public:
    using OnPiece = std::function<Result<Piece>(uint64_t file_offset, std::string_view bytes)>;
    using OnBytes = std::function<void(uint64_t bytes)>;

    ContentReader(const Chunker& chunker, OnPiece on_piece, OnBytes on_bytes);

    // Pieces of the first `size` bytes. A file that ends before (it was cut meanwhile) gives fewer.
    Result<std::vector<Piece>> read(int fd, ContentKind kind, uint64_t size);

  private:
    Result<> readExtent(int fd, ContentKind kind, uint64_t begin, uint64_t end,
                        std::vector<Piece>& pieces);
    // Fills the buffer up to the window or `end`; false at the end of the file.
    Result<bool> fill(int fd, uint64_t end);

    const Chunker& chunker_;
    OnPiece on_piece_;
    OnBytes on_bytes_;
    std::string buffer_;
    size_t begin_ = 0;  // of the bytes not yet handed on, in buffer_
    size_t end_ = 0;
    uint64_t offset_ = 0;  // in the file, of buffer_[end_]
};

// Calls `on_extent(from, to)` for each run of data in [begin, end); all of it where the filesystem
// knows no holes.
Result<> forEachExtent(int fd, uint64_t begin, uint64_t end,
                       const std::function<Result<>(uint64_t, uint64_t)>& on_extent);

}  // namespace regrow::backup
