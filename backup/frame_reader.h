#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "backup/entry.h"
#include "backup/keyring.h"
#include "backup/pack_table.h"
#include "backup/repository.h"

// Fetches frames and opens them: the restore's way in. What comes out was authenticated by its
// seal; the piece's id is compared only by verify and on the detour below. Any thread.
namespace regrow::backup {

class FrameReader {
  public:
    using OnFrame = std::function<Result<>(uint32_t frame, std::string_view plain)>;

    FrameReader(Repository& repository, const Keyring& keys, const PackTable& packs);
    ~FrameReader();

    // Frames of one pack, numbers ascending. Those that lie next to each other are read at once, up
    // to 8 MiB. `plain` lives during the call only. Stops at the first error, which names pack and
    // frame.
    Result<> fetch(uint32_t pack, std::span<const uint32_t> frames, const OnFrame& on_frame) const;
    // The plain bytes of one frame.
    Result<std::string> frame(uint32_t pack, uint32_t number) const;
    // The bytes of a piece, its id checked. One frame is kept, so pieces asked for in frame order
    // cost one read.
    Result<std::string> piece(const Piece& piece) const;
    // Any bytes within a frame, through the same kept frames; ids are the caller's business.
    Result<std::string> bytesAt(uint32_t pack, uint32_t number, uint32_t offset,
                                uint32_t length) const;

  private:
    struct Cache;
    Error noteDamage(const PackId& pack, Error error) const;
    Repository& repository_;
    const Keyring& keys_;
    const PackTable& packs_;
    std::unique_ptr<Cache> cache_;
};

}  // namespace regrow::backup
