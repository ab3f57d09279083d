#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "conf/load.h"

// A YAML document as a plain tree in which every node knows its place, so that any later complaint
// can point at it. Built from yaml-cpp's events rather than its YAML::Node: that one drops
// duplicate keys and key positions, and expands aliases without limit. Values; control thread or
// any other.
namespace regrow::conf {

enum class NodeKind { null, scalar, list, map };

struct Node {
    struct Entry;

    NodeKind kind = NodeKind::null;
    int line = 0;  // 1-based
    int column = 0;
    std::string text;            // scalar: as written, quotes and escapes resolved
    bool quoted = false;         // scalar: written with quotes, so never a keyword
    std::vector<Node> items;     // list
    std::vector<Entry> entries;  // map, in the order written; keys are unique

    const Node* find(std::string_view key) const;
    // For pointing: the child, or this node when there is no such child.
    const Node& at(std::string_view key) const;
    const Node& at(size_t index) const;
};

struct Node::Entry {
    Node key;  // always a scalar
    Node value;
};

// Limits that no configuration written by a person reaches.
inline constexpr size_t kFileLimit = size_t{1} << 20;  // bytes
inline constexpr int kDepthLimit = 32;                 // maps and lists within each other
inline constexpr size_t kNodeLimit = 100'000;          // after aliases are expanded

// What can be read of the document, and everything wrong with its form. A file that is not YAML
// gives one problem (the parser cannot go on), and a null tree.
struct Tree {
    Node root;
    std::vector<Problem> problems;
};
Tree parseTree(const std::string& yaml, const std::string& file_name);

std::string_view name(NodeKind kind);  // "a list", "a map", …

}  // namespace regrow::conf
