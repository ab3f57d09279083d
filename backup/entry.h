#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

// What a snapshot knows about one name in the tree. Values only; made by the walk, completed by the
// capture, kept in the manifest, turned back into files by the restore.
namespace regrow::backup {

enum class EntryType : uint8_t {
    regular,
    directory,
    symlink,
    fifo,
    socket,
    block_device,
    char_device
};

// How the content was read and how it should be chunked: page files (databases) get fixed aligned
// blocks.
enum class ContentKind : uint8_t { plain, pages, sqlite };

// Keyed identity of a chunk's plain bytes (HMAC-SHA-256 under a subkey that never rotates).
using ChunkId = std::array<uint8_t, 32>;

// A run of bytes of a regular file that is stored; what no piece covers is a hole.
struct Piece {
    uint64_t file_offset = 0;
    uint32_t length = 0;  // plain bytes, > 0
    ChunkId id{};
    // Where it lies: resolved when the manifest is written, so that a restore loads no index.
    uint32_t pack = 0;          // number into the manifest's pack table
    uint32_t frame = 0;         // frame within the pack
    uint32_t frame_offset = 0;  // of the plain bytes within the frame's plain bytes
};

struct TimeStamp {  // since 1970; seconds may be negative, nanoseconds in [0, 1e9)
    int64_t seconds = 0;
    uint32_t nanoseconds = 0;
    friend bool operator==(const TimeStamp&, const TimeStamp&) = default;
};

struct Entry {
    std::string path;  // relative, raw bytes, '/' between names; "" is the root itself
    EntryType type = EntryType::regular;
    uint32_t mode = 0;  // permission bits with setuid, setgid, sticky
    uint32_t uid = 0;
    uint32_t gid = 0;
    std::string user;  // names as known where it was captured; empty when unknown
    std::string group;
    TimeStamp mtime;
    uint64_t size = 0;    // regular files; apparent size
    uint64_t device = 0;  // st_rdev of device nodes
    std::string target;   // of a symlink
    std::vector<std::pair<std::string, std::string>>
        xattrs;               // name, value; sorted by name; ACLs and capabilities are among them
    uint64_t link_group = 0;  // not 0: entries with the same number are one inode
    ContentKind kind = ContentKind::plain;
    bool changed_while_read =
        false;  // size or mtime differed after the read: content may be of no single instant
    // For the next incremental: content is taken from the parent when all three are equal (and size
    // is).
    TimeStamp ctime;
    uint64_t inode = 0;
    std::vector<Piece> pieces;  // ascending by file_offset, not overlapping
};

}  // namespace regrow::backup
