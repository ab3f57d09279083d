#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "backup/tree_node.h"

// A snapshot's tree as a whole: cut into nodes when written, walked when read.
//
// Where entries are cut into nodes depends on the paths near the cut only (keyed hash, average 256
// entries), so a change in one directory leaves all other nodes equal, and equal nodes are stored
// once: the search tree known as prolly tree (Noms), one level of it for up to 1024 nodes, more
// above that.
namespace regrow::backup {

// Tree order: '/' sorts before every other byte, so a directory is followed at once by all that is
// in it.
bool pathLess(std::string_view a, std::string_view b);

// Stores a node's bytes, or finds them stored.
using StoreNode = std::function<Result<NodeRef>(std::string_view bytes)>;
// Nodes stored so far must become readable (their packs finished) before references to them are
// written.
using FinishNodes = std::function<Result<>()>;
using FetchNode = std::function<Result<std::string>(const NodeRef& ref)>;

struct TreeRoot {
    std::string bytes;     // the root node
    std::string identity;  // equal for equal trees even where a node of the one lies elsewhere
};

// Called for nodes that cannot be had: entries from `first` up to (not including) `end` are
// unknown; an empty `end` is the tree's end. Success goes on behind the gap.
using OnLost =
    std::function<Result<>(const std::string& first, const std::string& end, const Error& error)>;

// Sorts the entries and stores all nodes but the root, which it returns. Code::invalid for
// duplicate paths, a missing parent directory or root, or an entry that breaks a rule.
Result<TreeRoot> writeTree(std::vector<Entry> entries, const PackTable& packs, uint64_t split_seed,
                           const StoreNode& store, const FinishNodes& finish);

// Walks the tree in order, checking order, parents and levels. Stops at the first error of
// `on_entry`, and at a node that cannot be had unless `on_lost` is given.
Result<> readTree(std::string_view root, PackTable& packs, const FetchNode& fetch,
                  const std::function<Result<>(Entry)>& on_entry, const OnLost& on_lost = {});

}  // namespace regrow::backup
