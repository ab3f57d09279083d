#pragma once

#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/digest.h"
#include "backup/entry.h"
#include "backup/keyring.h"
#include "backup/pack_table.h"
#include "backup/repository.h"
#include "backup/seal.h"
#include "backup/task_pool.h"

// A pack: sealed frames, a sealed table of what is in them, and a fixed trailer that finds the
// table.
//
//   header   32  "RGRWPACK" | version u8 | zero x3 | key id u32 | salt 16
//   frames       each: up to 1 MiB of pieces (one large piece: up to 2 MiB), zstd -1 unless that
//   gains under 2 %, sealed footer       frame and piece table, sealed trailer  16  sealed footer's
//   size u32 | zero u32 | "RGRWPEND"
//
// Many pieces share a frame because a restore's cost is a frame's, not a piece's: with 16 KiB
// pieces in 1 MiB frames it takes 2.66 s where 512 KiB pieces take 2.08. The pack is named by the
// hash of these bytes, so its seals bind the salt instead: associated data is header | repository
// id | frame number u64, and the footer's number is 2^64 - 1.
namespace regrow::backup {

constexpr size_t kPackHeaderSize = 32;
constexpr size_t kPackTrailerSize = 16;
constexpr size_t kMaxPieceSize = size_t{2} << 20;
constexpr size_t kFrameTarget = size_t{1} << 20;
constexpr size_t kMaxFrameStored = kMaxPieceSize + kSealOverhead;
constexpr size_t kMaxFramePieces = 4096;  // so that frames of tiny files do not swell the footer
constexpr size_t kMaxFooterSize = size_t{16} << 20;
constexpr uint64_t kMaxPackSize = uint64_t{256} << 20;

// File content, and nodes of trees. Apart, so that reading a tree touches few packs and no content.
enum class PackKind : uint8_t { content = 1, tree = 2 };

struct PackedPiece {
    ChunkId id{};
    uint32_t length = 0;
};

struct PackedFrame {
    FrameSpan span;
    std::vector<PackedPiece> pieces;  // back to back
};

struct PackContents {
    PackInfo info;
    PackKind kind = PackKind::content;
    uint64_t size = 0;
    std::vector<PackedFrame> frames;
};

std::string packObjectName(const PackId& id);           // packs/ab/abcd…
Result<PackId> packIdOf(std::string_view object_name);  // Code::invalid for any other name

// Opens frames of one pack. Not shared between threads.
class FrameOpener {
  public:
    static Result<FrameOpener> make(const Keyring& keys, const PackInfo& info);
    // `stored` is the span's bytes; replaces `plain`.
    Result<> open(const FrameSpan& span, std::string_view stored, std::string& plain);
    Result<> openFooter(std::string_view stored, std::string& plain);

  private:
    FrameOpener(Sealer sealer, std::string aad)
        : sealer_(std::move(sealer)), aad_(std::move(aad)) {}
    Sealer sealer_;
    std::string aad_;  // all but the number
    std::string packed_;
};

// Builds one pack in memory: its name is known at its end only. Frames are compressed and sealed by
// a pool where one is given, else at once. One thread at a time; `keys` and `pool` outlive it.
class PackWriter {
  public:
    struct Place {
        uint32_t frame = 0;
        uint32_t frame_offset = 0;
    };
    struct Finished {
        PackContents contents;
        std::string bytes;
    };

    PackWriter(const Keyring& keys, PackKind kind, size_t target_size, TaskPool* pool = nullptr);
    Place add(const ChunkId& id, std::string_view bytes);  // 1 to kMaxPieceSize bytes
    bool empty() const { return frames_.empty() && pending_.pieces.empty(); }
    bool full() const;
    Finished finish();  // once

  private:
    struct SealedFrame {
        std::string bytes;
        bool compressed = false;
    };
    void closeFrame();
    void takeSealed(bool wait);
    void append(const SealedFrame& sealed);
    static SealedFrame sealFrame(const Sealer& sealer, std::string_view aad, uint32_t number,
                                 std::string_view plain);

    const Keyring* keys_;
    TaskPool* pool_;
    PackInfo info_;
    PackKind kind_;
    size_t target_size_;
    std::string aad_;
    std::string bytes_;
    std::vector<PackedFrame> frames_;
    std::deque<std::future<SealedFrame>> sealing_;  // of the last so many frames
    uint64_t sealing_plain_ = 0;                    // their bytes
    PackedFrame pending_;
    std::string pending_plain_;
    size_t piece_count_ = 0;
};

// Pure codecs of the outer parts.
Result<PackInfo> decodePackHeader(std::string_view bytes);  // without the id
// `pack_size` bounds and must match what the table says.
Result<PackContents> decodePackFooter(std::string_view plain, uint64_t footer_stored,
                                      uint64_t pack_size);

// Reads header, trailer and footer of a pack in a repository: how an index is rebuilt.
Result<PackContents> readPackContents(Repository& repository, const Keyring& keys, const PackId& id,
                                      uint64_t size);

}  // namespace regrow::backup
