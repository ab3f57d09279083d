#include <algorithm>
#include <set>

#include "backup/tree.h"

namespace regrow::backup {
namespace {

constexpr size_t kInlinePieces = 256;
constexpr size_t kMaxInlineShards = 1024;
constexpr size_t kMaxNodeEntries = 2048;
constexpr size_t kNodeBytes =
    size_t{512} << 10;  // by estimate; keeps the encoded node well below a piece's limit
constexpr size_t kMaxRootChildren = 1024;
constexpr uint64_t kSplitMask = 255;

// FNV-1a with a keyed start and a final mix (splitmix64's): cuts need spread, not strength.
uint64_t splitHash(std::string_view path, uint64_t seed) {
    uint64_t h = seed ^ 0xcbf29ce484222325;
    for (const char c : path) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9;
    h = (h ^ (h >> 27)) * 0x94d049bb133111eb;
    return h ^ (h >> 31);
}

size_t estimate(const NodeEntry& e) {
    size_t n = 64 + e.entry.path.size() + e.entry.target.size() + e.entry.pieces.size() * 56 +
               e.shards.size() * 56;
    for (const auto& [name, value] : e.entry.xattrs) n += name.size() + value.size() + 4;
    return n;
}

std::unexpected<Error> invalid(std::string message) {
    return fail(Code::invalid, Source::us, std::move(message));
}

Result<> checkShape(const std::vector<Entry>& entries) {
    if (entries.empty() || !entries.front().path.empty())
        return invalid("the tree has no root directory");
    std::set<std::string_view> directories;
    const Entry* previous = nullptr;
    for (const Entry& e : entries) {
        REGROW_CHECK(checkEntry(e));
        if (previous && previous->path == e.path)
            return invalid("'" + e.path + "' is in the tree twice");
        const size_t slash = e.path.rfind('/');
        const std::string_view parent =
            std::string_view(e.path).substr(0, slash == std::string::npos ? 0 : slash);
        if (previous && !directories.contains(parent))
            return invalid("'" + e.path + "' has no parent directory in the tree");
        if (e.type == EntryType::directory) directories.insert(e.path);
        previous = &e;
    }
    return {};
}

// One entry becomes one with its piece list in nodes of their own, level by level, until few
// references are left. Ranges are fixed parts of the file, so one changed page changes one node of
// each level.
class Sharder {
  public:
    Sharder(const PackTable& packs, const StoreNode& store) : packs_(packs), store_(store) {}

    Result<NodeEntry> firstLevel(Entry entry) {
        NodeEntry node{std::move(entry), 0, {}};
        auto& pieces = node.entry.pieces;
        if (pieces.size() <= kInlinePieces) return node;
        for (auto begin = pieces.begin(); begin != pieces.end();) {
            const uint64_t shard = begin->file_offset / kPieceShard;
            const auto end = std::find_if(begin, pieces.end(), [&](const Piece& p) {
                return p.file_offset / kPieceShard != shard;
            });
            REGROW_TRY(NodeRef ref, storeNode(PiecesNode{0, std::vector<Piece>(begin, end), {}}));
            node.shards.push_back(ref);
            begin = end;
        }
        pieces = {};
        node.shard_level = 1;
        return node;
    }
    // References of the level below must be resolved by now.
    Result<> nextLevel(NodeEntry& node) {
        std::vector<NodeRef> above;
        for (size_t i = 0; i < node.shards.size(); i += kShardFanout) {
            const auto begin = node.shards.begin() + static_cast<ptrdiff_t>(i);
            const auto end = node.shards.begin() +
                             static_cast<ptrdiff_t>(std::min(i + kShardFanout, node.shards.size()));
            REGROW_TRY(NodeRef ref, storeNode(PiecesNode{
                                        node.shard_level, {}, std::vector<NodeRef>(begin, end)}));
            above.push_back(ref);
        }
        node.shards = std::move(above);
        ++node.shard_level;
        return {};
    }

  private:
    Result<NodeRef> storeNode(const Node& node) {
        REGROW_TRY(const std::string bytes, encodeNode(node, packs_));
        return store_(bytes);
    }
    const PackTable& packs_;
    const StoreNode& store_;
};

Result<std::vector<NodeEntry>> shard(std::vector<Entry> entries, const PackTable& packs,
                                     const StoreNode& store, const FinishNodes& finish) {
    Sharder sharder(packs, store);
    std::vector<NodeEntry> nodes;
    nodes.reserve(entries.size());
    bool sharded = false;
    for (Entry& e : entries) {
        REGROW_TRY(NodeEntry node, sharder.firstLevel(std::move(e)));
        sharded = sharded || node.shard_level > 0;
        nodes.push_back(std::move(node));
    }
    if (sharded) REGROW_CHECK(finish());
    const auto tooLong = [](const NodeEntry& n) { return n.shards.size() > kMaxInlineShards; };
    while (std::any_of(nodes.begin(), nodes.end(), tooLong)) {
        for (NodeEntry& n : nodes)
            if (tooLong(n)) REGROW_CHECK(sharder.nextLevel(n));
        REGROW_CHECK(finish());
    }
    return nodes;
}

// Cuts `nodes` into entries nodes; the encoded bytes of each, with its first path.
struct Leaf {
    std::string bytes;
    std::string first_path;
};

Result<std::vector<Leaf>> cutLeaves(std::vector<NodeEntry> nodes, const PackTable& packs,
                                    uint64_t seed) {
    std::vector<Leaf> leaves;
    EntriesNode leaf;
    size_t bytes = 0;
    const auto close = [&]() -> Result<> {
        std::string first = leaf.entries.front().entry.path;
        REGROW_TRY(std::string encoded, encodeNode(leaf, packs));
        if (encoded.size() > (size_t{2} << 20))
            return invalid("'" + first + "': its attributes are too large for a snapshot");
        leaves.push_back({std::move(encoded), std::move(first)});
        leaf.entries.clear();
        bytes = 0;
        return {};
    };
    for (NodeEntry& node : nodes) {
        const size_t more = estimate(node);
        if (!leaf.entries.empty() &&
            (bytes + more > kNodeBytes || leaf.entries.size() == kMaxNodeEntries))
            REGROW_CHECK(close());
        const bool cut = (splitHash(node.entry.path, seed) & kSplitMask) == 0;
        leaf.entries.push_back(std::move(node));
        bytes += more;
        if (cut) REGROW_CHECK(close());
    }
    if (!leaf.entries.empty()) REGROW_CHECK(close());
    return leaves;
}

bool endsGroup(const NodeRef& ref, size_t in_group) {
    return ref.id[0] == 0 || in_group == kMaxRootChildren;
}

// One level of index nodes above `children`.
Result<IndexNode> raise(const IndexNode& below, const PackTable& packs, const StoreNode& store) {
    IndexNode above{static_cast<uint8_t>(below.level + 1), {}};
    IndexNode group{below.level, {}};
    for (const auto& child : below.children) {
        group.children.push_back(child);
        const bool last = &child == &below.children.back();
        if (!last && !endsGroup(child.ref, group.children.size())) continue;
        REGROW_TRY(const std::string bytes, encodeNode(group, packs));
        REGROW_TRY(const NodeRef ref, store(bytes));
        above.children.push_back({ref, group.children.front().first_path});
        group.children.clear();
    }
    return above;
}

}  // namespace

bool pathLess(std::string_view a, std::string_view b) {
    const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    if (y == b.end()) return false;
    if (x == a.end()) return true;
    const auto rank = [](char c) {
        return c == '/' ? 0 : static_cast<int>(static_cast<unsigned char>(c));
    };
    return rank(*x) < rank(*y);
}

Result<TreeRoot> writeTree(std::vector<Entry> entries, const PackTable& packs, uint64_t split_seed,
                           const StoreNode& store, const FinishNodes& finish) {
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return pathLess(a.path, b.path); });
    REGROW_CHECK(checkShape(entries));
    REGROW_TRY(std::vector<NodeEntry> nodes, shard(std::move(entries), packs, store, finish));
    REGROW_TRY(std::vector<Leaf> leaves, cutLeaves(std::move(nodes), packs, split_seed));
    if (leaves.size() == 1) return TreeRoot{leaves.front().bytes, leaves.front().bytes};
    IndexNode top{1, {}};
    for (Leaf& leaf : leaves) {
        REGROW_TRY(const NodeRef ref, store(leaf.bytes));
        top.children.push_back({ref, std::move(leaf.first_path)});
    }
    REGROW_CHECK(finish());
    while (top.children.size() > kMaxRootChildren) {
        REGROW_TRY(IndexNode above, raise(top, packs, store));
        REGROW_CHECK(finish());
        top = std::move(above);
    }
    TreeRoot root;
    for (const auto& child : top.children) root.identity += bytesOf(child.ref.id);
    REGROW_TRY(root.bytes, encodeNode(top, packs));
    return root;
}

}  // namespace regrow::backup
