#include "conf/tree.h"

#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <unordered_map>

#include "conf/utf8.h"

namespace regrow::conf {
namespace {

// Leaves yaml-cpp's parser from within an event; caught in parseTree, never seen outside.
struct Stop {
    Problem problem;
};

size_t countNodes(const Node& node) {
    size_t count = 1;
    for (const auto& item : node.items) count += countNodes(item);
    for (const auto& entry : node.entries) count += 1 + countNodes(entry.value);
    return count;
}

class TreeBuilder final : public YAML::EventHandler {
  public:
    TreeBuilder(std::string file, Tree& tree) : file_(std::move(file)), tree_(tree) {}

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        complete(make(mark, NodeKind::null), anchor);
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        refuseTag(mark, tag);
        Node node = make(mark, NodeKind::scalar);
        node.text = value;
        node.quoted = tag == "!";
        complete(std::move(node), anchor);
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end())
            stop(mark, "an alias cannot stand inside its own anchor; write the value out");
        const size_t count = countNodes(found->second);
        if (count_ + count > kNodeLimit) tooMany(mark);
        count_ += count;
        complete(found->second, YAML::NullAnchor);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, NodeKind::list);
    }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, NodeKind::map);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapEnd() override { close(); }

  private:
    struct Frame {
        Node node;
        YAML::anchor_t anchor = YAML::NullAnchor;
        std::optional<Node> key;                    // waiting for its value
        std::unordered_map<std::string, int> seen;  // key to its line
    };

    Problem problem(int line, int column, std::string message) const {
        return {file_, line, column, std::move(message)};
    }
    [[noreturn]] void stop(const YAML::Mark& mark, std::string message) const {
        throw Stop{problem(mark.line + 1, mark.column + 1, std::move(message))};
    }
    [[noreturn]] void tooMany(const YAML::Mark& mark) const {
        stop(mark,
             fmt::format("more than {} values once aliases are expanded; that is no configuration",
                         kNodeLimit));
    }
    void refuseTag(const YAML::Mark& mark, const std::string& tag) const {
        if (tag.size() > 1)
            stop(mark, fmt::format("YAML tags are not used here; remove '{}'", tag));
    }

    Node make(const YAML::Mark& mark, NodeKind kind) {
        if (++count_ > kNodeLimit) tooMany(mark);
        Node node;
        node.kind = kind;
        node.line = mark.line + 1;
        node.column = mark.column + 1;
        return node;
    }

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
              NodeKind kind) {
        refuseTag(mark, tag);
        if (stack_.size() >= static_cast<size_t>(kDepthLimit))
            stop(mark, fmt::format("nested deeper than {} levels; that is no configuration",
                                   kDepthLimit));
        stack_.push_back({make(mark, kind), anchor, std::nullopt, {}});
    }
    void close() {
        Frame frame = std::move(stack_.back());
        stack_.pop_back();
        complete(std::move(frame.node), frame.anchor);
    }

    void complete(Node node, YAML::anchor_t anchor) {
        if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
        if (stack_.empty()) {
            tree_.root = std::move(node);
            return;
        }
        Frame& top = stack_.back();
        if (top.node.kind == NodeKind::list)
            top.node.items.push_back(std::move(node));
        else if (!top.key)
            top.key = std::move(node);
        else
            addEntry(top, std::move(node));
    }

    void addEntry(Frame& frame, Node value) {
        Node key = *std::exchange(frame.key, std::nullopt);
        if (key.kind != NodeKind::scalar) {
            tree_.problems.push_back(
                problem(key.line, key.column,
                        "a key must be a word; found " + std::string(name(key.kind))));
            return;
        }
        const auto [first, fresh] = frame.seen.emplace(key.text, key.line);
        if (!fresh) {
            tree_.problems.push_back(
                problem(key.line, key.column,
                        fmt::format("key '{}' is written twice (first in line {}); keep one",
                                    key.text, first->second)));
            return;
        }
        frame.node.entries.push_back({std::move(key), std::move(value)});
    }

    std::string file_;
    Tree& tree_;
    std::vector<Frame> stack_;
    std::map<YAML::anchor_t, Node> anchors_;
    size_t count_ = 0;
};

Problem badByteProblem(const std::string& yaml, const std::string& file, size_t at) {
    const auto before = std::string_view(yaml).substr(0, at);
    const auto newline = before.rfind('\n');
    return {
        file, static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
        static_cast<int>(newline == std::string_view::npos ? at + 1 : at - newline),
        fmt::format("byte 0x{:02x} is not text; save the file as UTF-8 without control characters",
                    static_cast<unsigned char>(yaml[at]))};
}

void parseDocument(const std::string& yaml, const std::string& file, Tree& tree) {
    std::istringstream in(yaml);
    YAML::Parser parser(in);
    TreeBuilder builder(file, tree);
    if (!parser.HandleNextDocument(builder)) return;  // nothing but comments
    Tree second;
    TreeBuilder rest(file, second);
    if (parser.HandleNextDocument(rest))
        tree.problems.push_back(
            {file, second.root.line, second.root.column,
             "a second YAML document ('---'); a configuration is one document"});
}

}  // namespace

const Node* Node::find(std::string_view key) const {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const Entry& e) { return e.key.text == key; });
    return found == entries.end() ? nullptr : &found->value;
}

const Node& Node::at(std::string_view key) const {
    const Node* child = find(key);
    return child ? *child : *this;
}

const Node& Node::at(size_t index) const {
    return index < items.size() ? items[index] : *this;
}

std::string_view name(NodeKind kind) {
    switch (kind) {
        case NodeKind::null: return "nothing";
        case NodeKind::scalar: return "a single value";
        case NodeKind::list: return "a list";
        case NodeKind::map: return "a map of keys";
    }
    return "something else";
}

Tree parseTree(const std::string& yaml, const std::string& file_name) {
    Tree tree;
    const auto refuse = [&](Problem problem) {
        tree.root = Node{};
        tree.problems.push_back(std::move(problem));
    };
    if (yaml.size() > kFileLimit) {
        refuse({file_name, 0, 0,
                fmt::format("the file is larger than {} bytes; that is no configuration",
                            kFileLimit)});
        return tree;
    }
    if (const auto bad = firstBadByte(yaml)) {
        refuse(badByteProblem(yaml, file_name, *bad));
        return tree;
    }
    try {
        parseDocument(yaml, file_name, tree);
    } catch (const Stop& stop) {
        refuse(stop.problem);
    } catch (const YAML::Exception& e) {
        refuse({file_name, e.mark.line + 1, e.mark.column + 1,
                fmt::format("not valid YAML: {}; look at the indentation, quotes and brackets here "
                            "and just before",
                            e.msg)});
    } catch (const std::exception& e) {
        refuse({file_name, 0, 0, fmt::format("not valid YAML: {}", e.what())});
    }
    return tree;
}

}  // namespace regrow::conf
