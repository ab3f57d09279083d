#include "backup/bytes.h"
#include "backup/tree.h"

namespace regrow::backup {
namespace {

std::unexpected<Error> corrupt(const std::string& why) {
    return fail(Code::corrupt, Source::repository, "the snapshot's tree: " + why);
}

// Checks what no single node shows: that paths ascend over all nodes and that each has its
// directory.
class OrderCheck {
  public:
    Result<> next(const Entry& e) {
        if (!started_ && !gap_ && !e.path.empty())
            return corrupt("it does not begin with the root");
        if (started_ && !pathLess(previous_, e.path))
            return corrupt("'" + e.path + "' is out of order or there twice");
        started_ = true;
        previous_ = e.path;
        if (e.path.empty()) return open_.push_back(e.path), Result<>();
        const size_t slash = e.path.rfind('/');
        const std::string_view parent =
            std::string_view(e.path).substr(0, slash == std::string::npos ? 0 : slash);
        while (!open_.empty() && open_.back() != parent) open_.pop_back();
        if (open_.empty() && !gap_) return corrupt("'" + e.path + "' is in no directory");
        if (e.type == EntryType::directory) open_.push_back(e.path);
        return {};
    }

    // What was lost may have held the directories of what follows.
    void gap() { gap_ = true; }

  private:
    bool started_ = false;
    bool gap_ = false;
    std::string previous_;
    std::vector<std::string> open_;  // the directories from the root to where we are
};

class Walk {
  public:
    Walk(PackTable& packs, const FetchNode& fetch, const std::function<Result<>(Entry)>& on_entry,
         const OnLost& on_lost)
        : packs_(packs), fetch_(fetch), on_entry_(on_entry), on_lost_(on_lost) {}

    // `end`: the first path behind this node.
    Result<> visit(std::string_view bytes, int expected_level, const std::string& end) {
        REGROW_TRY(Node node, decodeNode(bytes, packs_));
        if (auto* leaf = std::get_if<EntriesNode>(&node)) {
            if (expected_level > 0) return corrupt("a node is of the wrong level");
            return visitLeaf(*leaf);
        }
        const auto* index = std::get_if<IndexNode>(&node);
        // Levels fall by one on the way down: that bounds the depth whatever the bytes say.
        if (!index || (expected_level >= 0 && index->level != expected_level))
            return corrupt("a node is of the wrong kind");
        const auto& children = index->children;
        for (size_t i = 0; i < children.size(); ++i) {
            const std::string& child_end =
                i + 1 < children.size() ? children[i + 1].first_path : end;
            auto below = fetch_(children[i].ref);
            if (!below && on_lost_) {
                REGROW_CHECK(on_lost_(children[i].first_path, child_end, below.error()));
                order_.gap();
                continue;
            }
            if (!below) return std::unexpected(std::move(below).error());
            REGROW_CHECK(visit(*below, index->level - 1, child_end));
        }
        return {};
    }

  private:
    Result<> visitLeaf(EntriesNode& leaf) {
        for (NodeEntry& node : leaf.entries) {
            REGROW_CHECK(order_.next(node.entry));
            auto gathered = gatherAll(node);
            if (!gathered && on_lost_) {
                REGROW_CHECK(on_lost_(node.entry.path, node.entry.path, gathered.error()));
                continue;
            }
            REGROW_CHECK(std::move(gathered));
            if (node.shard_level > 0 && !checkEntry(node.entry))
                return corrupt("'" + node.entry.path + "' has a bad piece list");
            REGROW_CHECK(on_entry_(std::move(node.entry)));
        }
        return {};
    }

    Result<> gatherAll(NodeEntry& node) {
        for (const NodeRef& ref : node.shards)
            REGROW_CHECK(gather(ref, node.shard_level - 1, node.entry.pieces));
        return {};
    }

    Result<> gather(const NodeRef& ref, int level, std::vector<Piece>& pieces) {
        REGROW_TRY(const std::string bytes, fetch_(ref));
        REGROW_TRY(Node decoded, decodeNode(bytes, packs_));
        const auto* node = std::get_if<PiecesNode>(&decoded);
        if (!node || node->level != level) return corrupt("a piece list is of the wrong level");
        pieces.insert(pieces.end(), node->pieces.begin(), node->pieces.end());
        for (const NodeRef& child : node->children) REGROW_CHECK(gather(child, level - 1, pieces));
        return {};
    }

    PackTable& packs_;
    const FetchNode& fetch_;
    const std::function<Result<>(Entry)>& on_entry_;
    const OnLost& on_lost_;
    OrderCheck order_;
};

}  // namespace

Result<> readTree(std::string_view root, PackTable& packs, const FetchNode& fetch,
                  const std::function<Result<>(Entry)>& on_entry, const OnLost& on_lost) {
    return Walk(packs, fetch, on_entry, on_lost).visit(root, -1, {});
}

}  // namespace regrow::backup
