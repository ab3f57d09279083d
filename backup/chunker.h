#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "backup/entry.h"

// Where a file is cut into pieces. Pure; a Chunker is immutable and shared by all threads.
//
// Three classes, measured on 1 GiB of database pages with 1 % of them changed: fixed 16 KiB blocks
// store 23 MB, FastCDC of the same average 44, of 512 KiB 448. So page files get fixed blocks
// aligned to the file; other files from 64 KiB up get FastCDC (Xia et al., "FastCDC", USENIX ATC
// 2016, with its normalised chunking), whose cut points survive insertions; smaller files stay
// whole. Holes are never cut: the caller passes data extents only.
//
// The gear table is derived from the repository's key, so that the lengths of chunks tell an
// onlooker nothing about which known file they come from.
namespace regrow::backup {

struct ChunkerLimits {
    uint32_t min = 64 << 10;
    uint32_t average = 256 << 10;  // a power of two
    uint32_t max = 2 << 20;
    uint32_t page = 16 << 10;
    friend bool operator==(const ChunkerLimits&, const ChunkerLimits&) = default;
};

using GearTable = std::array<uint64_t, 256>;

class Chunker {
  public:
    Chunker(const GearTable& gear, ChunkerLimits limits);

    const ChunkerLimits& limits() const { return limits_; }
    // How many bytes the caller must offer to next() for a cut that does not depend on how it read:
    // max, or all that is left.
    uint32_t window() const { return limits_.max; }

    // Length of the next piece: data[0] lies at `file_offset`; data holds at least window() bytes
    // or all that is left of the extent. In [1, data.size()]; data must not be empty.
    size_t next(ContentKind kind, uint64_t file_offset, std::string_view data) const;

  private:
    size_t contentDefined(std::string_view data) const;

    GearTable gear_;
    ChunkerLimits limits_;
    uint64_t mask_hard_;  // before the average: more bits, fewer cuts
    uint64_t mask_easy_;  // after it
};

}  // namespace regrow::backup
