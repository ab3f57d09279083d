#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "backup/entry.h"
#include "backup/pack_table.h"
#include "base/result.h"

// Nodes of a snapshot's tree: pieces like any other, stored in packs, found by (pack, frame,
// offset), shared between snapshots where equal. Three kinds:
//
//   entries   a range of the tree in tree order, with all metadata and the pieces of files
//   pieces    the pieces of one file within 16 MiB of it, or references to such nodes for a wider
//   range index     references to nodes one level below, with the first path of each
//
// A node names packs and frames in tables of its own, with frame offsets, so that reading what it
// names needs nothing else: a restore loads no index. Bytes are listed in docs/backup-format.md.
// Pure; takes any bytes without harm: lengths are bounded, counts are never believed for
// allocation, paths are checked.
namespace regrow::backup {

constexpr uint64_t kPieceShard = uint64_t{16} << 20;  // of a file, in one pieces node
constexpr uint64_t kShardFanout = 1024;               // pieces nodes under one of the level above
constexpr uint8_t kMaxTreeLevel = 8;
constexpr size_t kMaxPathLength = 16 << 10;

struct NodeRef {
    ChunkId id{};
    uint32_t length = 0;
    uint32_t pack = 0;  // as in Piece
    uint32_t frame = 0;
    uint32_t frame_offset = 0;
};

// An entry whose piece list is too long for its node is kept as references: `shards` at
// `shard_level`.
struct NodeEntry {
    Entry entry;              // pieces empty when shard_level > 0
    uint8_t shard_level = 0;  // n: the refs are pieces nodes of level n - 1
    std::vector<NodeRef> shards;
};

struct EntriesNode {
    std::vector<NodeEntry> entries;
};
struct PiecesNode {
    uint8_t level = 0;
    std::vector<Piece> pieces;      // level 0
    std::vector<NodeRef> children;  // above
};
struct IndexNode {
    uint8_t level = 1;  // children are of level - 1; entries nodes are level 0
    struct Child {
        NodeRef ref;
        std::string first_path;
    };
    std::vector<Child> children;
};
using Node = std::variant<EntriesNode, PiecesNode, IndexNode>;

// Fails only when a piece's pack was not finished (a bug) or an entry breaks the rules below
// (Code::invalid, naming it).
Result<std::string> encodeNode(const Node& node, const PackTable& packs);
// Adds what it meets to `packs`. Code::corrupt.
Result<Node> decodeNode(std::string_view bytes, PackTable& packs);

// What every entry keeps to, written or read: a path of sane names, pieces within the size, no
// content where none can be.
Result<> checkEntry(const Entry& entry);
bool validTreePath(std::string_view path);

}  // namespace regrow::backup
