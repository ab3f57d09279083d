#pragma once

#include <cstdint>
#include <map>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "backup/digest.h"

// The packs one open store has met, numbered. Piece::pack is such a number: the same in every tree
// this store reads or writes, so pieces of a parent's tree go into the next one unchanged. Numbers
// mean nothing outside the process; in the format each tree node names its packs by id.
//
// A pack being written has a number from its first piece on and gets its id when it is finished.
// Any thread.
namespace regrow::backup {

struct FrameSpan {  // where one frame lies in its pack
    uint32_t number = 0;
    uint32_t stored = 0;  // sealed bytes, tag included
    uint64_t offset = 0;  // from the start of the pack
    uint32_t plain = 0;   // bytes after opening and unpacking
    bool compressed = false;
    friend bool operator==(const FrameSpan&, const FrameSpan&) = default;
};

struct PackInfo {
    PackId id{};
    uint32_t key_id = 0;
    std::string salt;  // 16 bytes
    friend bool operator==(const PackInfo&, const PackInfo&) = default;
};

class PackTable {
  public:
    uint32_t reserve();                                  // a pack about to be written
    void assign(uint32_t number, const PackInfo& info);  // it is finished
    uint32_t numberOf(const PackInfo& info);             // existing or new
    void addFrames(uint32_t number, std::span<const FrameSpan> frames);
    void addFrame(uint32_t number, const FrameSpan& frame);

    size_t size() const;
    // Code::internal when the pack was never finished or the frame is unknown: a bug, or a piece of
    // another store.
    Result<PackInfo> pack(uint32_t number) const;
    Result<FrameSpan> frame(uint32_t number, uint32_t frame) const;

  private:
    struct Pack {
        PackInfo info;
        bool assigned = false;
        std::map<uint32_t, FrameSpan> frames;
    };
    mutable std::shared_mutex mutex_;
    std::vector<Pack> packs_;
    std::map<PackId, uint32_t> numbers_;
};

}  // namespace regrow::backup
