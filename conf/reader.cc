#include "conf/reader.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cassert>
#include <limits>

#include "base/text.h"
#include "conf/values.h"

namespace regrow::conf {
namespace {

constexpr std::string_view kUnavailable = "is not available in this version of regrow";
// Beyond ten years a duration is a mistake, and arithmetic on instants could overflow.
constexpr Duration kLongest = std::chrono::hours(24 * 3660);

const Node& emptyMap() {
    static const Node kEmpty{.kind = NodeKind::map, .text = {}, .items = {}, .entries = {}};
    return kEmpty;
}

bool contains(const std::vector<std::string_view>& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

bool mayBeEmpty(Type type) {
    return type == Type::presence || type == Type::unbuilt;
}

std::string_view formOf(NodeKind kind) {
    switch (kind) {
        case NodeKind::scalar: return "a single value";
        case NodeKind::list: return "a list, [a, b] or one '- item' a line";
        case NodeKind::map: return "a map of keys, {key: value} or one 'key: value' a line";
        case NodeKind::null: break;
    }
    return "nothing";
}

// Names are the commonest slip in an address, and the address parser cannot know.
bool looksLikeHostName(std::string_view text) {
    const auto host = text.substr(0, text.rfind(':'));
    return !host.empty() && !text.starts_with("unix:") &&
           std::any_of(host.begin(), host.end(), [](char c) { return c >= 'g' && c <= 'z'; }) &&
           host.find_first_of("[]/ ") == std::string_view::npos;
}

}  // namespace

Reader::Reader(const Node& node, const Section& section, std::string where, Problems& problems)
    : node_(&node), section_(&section), where_(std::move(where)), problems_(&problems) {
    checkKeys();
}

Reader::Reader(Broken, const Section& section, std::string where, Problems& problems)
    : node_(&emptyMap()), section_(&section), where_(std::move(where)), problems_(&problems) {}

void Reader::report(const Node& at, std::string_view where, std::string_view message) const {
    problems_->add(at, fmt::format("{} {}", where, message));
}

std::string Reader::pathOf(std::string_view key) const {
    if (key.empty()) return where_;
    return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
}

void Reader::complain(std::string_view key, std::string_view message) const {
    report(node_->at(key), pathOf(key), message);
}

void Reader::complain(std::string_view key, size_t item, std::string_view message) const {
    report(node_->at(key).at(item), fmt::format("{}[{}]", pathOf(key), item), message);
}

const Key& Reader::keyOf(std::string_view key) const {
    const Key* found = section_->find(key);
    assert(found && "a key that the schema does not have");
    return *found;
}

void Reader::checkKeys() {
    for (const auto& entry : node_->entries) checkKey(entry);
    if (!refused_) checkMissing();
}

void Reader::checkKey(const Node::Entry& entry) {
    const auto& name = entry.key.text;
    const Key* key = section_->find(name);
    if (!key) {
        std::vector<std::string_view> known;
        for (const auto& k : section_->keys)
            if (k.type != Type::unbuilt) known.push_back(k.name);
        const auto meant = nearest(name, known);
        const auto hint = name == "<<" ? std::string("merge keys are not read; write the keys out")
                          : !meant.empty() ? fmt::format("did you mean '{}'?", meant)
                                           : fmt::format("known here: {}", fmt::join(known, ", "));
        report(entry.key, pathOf(name), fmt::format("is not a known key; {}", hint));
        return;
    }
    if (key->type == Type::unbuilt) {
        refused_ = true;
        report(entry.key, pathOf(name), fmt::format("{}; remove it", kUnavailable));
    } else if (key->type == Type::only) {
        const auto allowed = splitChoices(key->choices);
        if (entry.value.kind == NodeKind::scalar && contains(allowed, entry.value.text)) return;
        refused_ = true;
        report(entry.value, pathOf(name),
               fmt::format("{} other than '{}'; remove it", kUnavailable, allowed.front()));
    } else if (entry.value.kind == NodeKind::null && !mayBeEmpty(key->type)) {
        report(
            entry.key, pathOf(name),
            "has no value; give it one or remove the key (a text that reads 'null' needs quotes)");
    }
}

void Reader::checkMissing() {
    for (const auto& key : section_->keys) {
        if (!key.required || node_->find(key.name)) continue;
        const auto example = key.example.empty() ? key.help : key.example;
        problems_->add(*node_, fmt::format("{} is missing; add '{}' ({})", pathOf(key.name),
                                           key.name, example));
    }
}

const Node* Reader::value(std::string_view key) const {
    const Key& known = keyOf(key);
    const Node* found = node_->find(key);
    return found && (found->kind != NodeKind::null || mayBeEmpty(known.type)) ? found : nullptr;
}

const Node* Reader::typed(std::string_view key, NodeKind kind) const {
    const Node* node = value(key);
    if (!node || isWord(key)) return nullptr;
    if (node->kind == kind) return node;
    const auto& word = keyOf(key).word;
    const auto or_word = word.empty() ? std::string() : fmt::format(" or '{}'", word);
    report(*node, pathOf(key),
           fmt::format("must be {}{}, not {}", formOf(kind), or_word, name(node->kind)));
    return nullptr;
}

bool Reader::isWord(std::string_view key) const {
    const Node* node = value(key);
    const auto& word = keyOf(key).word;
    return node && !word.empty() && node->kind == NodeKind::scalar && node->text == word;
}

void Reader::get(std::string_view key, bool& out) const {
    const Node* node = scalar(key);
    if (!node) return;
    if (node->text == "true" || node->text == "false")
        out = node->text == "true";
    else
        report(*node, pathOf(key), fmt::format("must be true or false, not '{}'", node->text));
}

void Reader::get(std::string_view key, int& out) const {
    const Node* node = scalar(key);
    if (!node) return;
    const Key& known = keyOf(key);
    const int64_t high = std::min<int64_t>(known.high, std::numeric_limits<int>::max());
    const auto number = parseInteger(node->text);
    if (number && *number >= known.low && *number <= high) {
        out = static_cast<int>(*number);
        return;
    }
    const auto or_word = known.word.empty() ? std::string() : fmt::format(" or '{}'", known.word);
    report(*node, pathOf(key),
           fmt::format("must be a whole number from {} to {}{}, not '{}'", known.low, high, or_word,
                       node->text));
}

void Reader::get(std::string_view key, double& out) const {
    const Node* node = scalar(key);
    if (!node) return;
    const Key& known = keyOf(key);
    const auto fraction = parsePercent(node->text);
    if (!fraction)
        report(*node, pathOf(key), "is wrong: " + fraction.error().message);
    else if (*fraction * 100 < static_cast<double>(known.low) ||
             *fraction * 100 > static_cast<double>(known.high))
        report(*node, pathOf(key),
               fmt::format("must be from {}% to {}%, not {}", known.low, known.high, node->text));
    else
        out = *fraction;
}

void Reader::get(std::string_view key, Duration& out) const {
    const Node* node = scalar(key);
    if (!node) return;
    const auto shortest = std::chrono::milliseconds(keyOf(key).low);
    const auto duration = parseDuration(node->text);
    if (!duration)
        report(*node, pathOf(key), "is wrong: " + duration.error().message);
    else if (*duration < shortest || *duration > kLongest)
        report(*node, pathOf(key),
               fmt::format("must be from {} to {}, not {}", formatDuration(shortest),
                           formatDuration(kLongest), node->text));
    else
        out = *duration;
}

void Reader::get(std::string_view key, std::string& out) const {
    const Node* node = scalar(key);
    if (!node) return;
    const Key& known = keyOf(key);
    const bool choice = known.type == Type::choice || known.type == Type::choice_or_map;
    if (choice && !acceptChoice(known, *node, pathOf(key))) return;
    Result<> ok;
    if (known.type == Type::path)
        ok = checkAbsolutePath(node->text);
    else if (known.type == Type::name)
        ok = checkName(node->text);
    else if (node->text.empty())
        ok = fail(Code::invalid, Source::config, "it is empty; give a value or remove the key");
    if (!ok) return report(*node, pathOf(key), "is wrong: " + ok.error().message);
    out = node->text;
}

void Reader::get(std::string_view key, Address& out) const {
    const Node* node = scalar(key);
    if (!node) return;
    auto address = Address::parse(node->text);
    if (address) {
        out = *address;
        return;
    }
    if (!looksLikeHostName(node->text))
        return report(*node, pathOf(key), "is wrong: " + address.error().message);
    report(*node, pathOf(key),
           fmt::format("is wrong: '{}' is a name, and only addresses of backends are looked up; "
                       "write the numeric address (127.0.0.1 for localhost) or unix:/path",
                       node->text));
}

void Reader::get(std::string_view key, Address& out, std::string& lookup) const {
    const Node* node = scalar(key);
    if (!node) return;
    if (auto address = Address::parse(node->text)) {
        out = *address;
    } else if (const auto ok = checkHostAndPort(node->text); ok) {
        lookup = node->text;
    } else {
        report(*node, pathOf(key), "is wrong: " + ok.error().message);
    }
}

void Reader::get(std::string_view key, uint64_t& out) const {
    const Node* node = scalar(key);
    if (!node) return;
    const Key& known = keyOf(key);
    const auto size = parseSize(node->text);
    if (!size)
        report(*node, pathOf(key), "is wrong: " + size.error().message);
    else if (*size < static_cast<uint64_t>(known.low) || *size > static_cast<uint64_t>(known.high))
        report(*node, pathOf(key),
               fmt::format("must be from {} to {}, not {}",
                           formatSize(static_cast<uint64_t>(known.low)),
                           formatSize(static_cast<uint64_t>(known.high)), node->text));
    else
        out = *size;
}

void Reader::get(std::string_view key,
                 std::vector<std::pair<std::string, std::string>>& out) const {
    const Node* node = typed(key, NodeKind::map);
    if (!node) return;
    for (const auto& entry : node->entries) {
        const auto where = fmt::format("{}.{}", pathOf(key), entry.key.text);
        if (entry.value.kind == NodeKind::scalar)
            out.emplace_back(entry.key.text, entry.value.text);
        else
            report(entry.value, where,
                   fmt::format("must be {}, not {}", formOf(NodeKind::scalar),
                               name(entry.value.kind)));
    }
}

void Reader::get(std::string_view key, std::vector<std::string>& out) const {
    const Node* node = value(key);
    if (!node) return;
    const Key& known = keyOf(key);
    std::vector<std::string> read;
    if (known.type == Type::environment) {
        readEnvironment(*node, read);
    } else if (known.type == Type::names && node->kind == NodeKind::scalar) {
        Node list = emptyMap();
        list.items.push_back(*node);
        readList(known, list, read);
    } else {
        const Node* list = typed(key, NodeKind::list);
        if (!list) return;
        readList(known, *list, read);
    }
    out = std::move(read);
}

void Reader::readList(const Key& key, const Node& list, std::vector<std::string>& out) const {
    const auto where = pathOf(key.name);
    if (list.items.empty() && key.type != Type::texts)
        report(list, where, "is empty; write at least one");
    for (size_t i = 0; i < list.items.size(); ++i) {
        const Node& item = list.items[i];
        const auto item_where = fmt::format("{}[{}]", where, i);
        if (item.kind != NodeKind::scalar) {
            report(item, item_where,
                   fmt::format("must be a single value, not {}", name(item.kind)));
            continue;
        }
        if (key.type == Type::choices_list && !acceptChoice(key, item, item_where)) continue;
        if (key.type == Type::argv && i == 0 && item.text.empty())
            report(item, item_where, "is empty; write the program");
        if (key.type == Type::names) {
            if (const auto ok = checkName(item.text); !ok)
                report(item, item_where, "is wrong: " + ok.error().message);
        }
        if (item.text.find('\0') != std::string::npos)
            report(item, item_where, "holds a NUL byte; remove it");
        out.push_back(item.text);
    }
}

void Reader::readEnvironment(const Node& node, std::vector<std::string>& out) const {
    const auto take = [&](const Node& at, std::string entry) {
        const auto ok = checkEnvironmentEntry(entry);
        if (!ok)
            report(at, pathOf("environment"), "is wrong: " + ok.error().message);
        else
            out.push_back(std::move(entry));
    };
    if (node.kind == NodeKind::scalar)
        return report(node, pathOf("environment"),
                      "must be a map NAME: value or a list of NAME=value, not a single value");
    for (const auto& item : node.items) take(item, item.text);
    for (const auto& entry : node.entries) {
        if (entry.value.kind == NodeKind::list || entry.value.kind == NodeKind::map)
            report(entry.value, pathOf("environment." + entry.key.text), "must be a single value");
        else
            take(entry.key, entry.key.text + "=" + entry.value.text);
    }
}

bool Reader::acceptChoice(const Key& key, const Node& node, std::string_view where) const {
    const auto choices = splitChoices(key.choices);
    if (contains(choices, node.text)) return true;
    if (contains(splitChoices(key.later), node.text)) {
        report(
            node, where,
            fmt::format("'{}' {}; write {}", node.text, kUnavailable, fmt::join(choices, " or ")));
        return false;
    }
    const auto meant = nearest(node.text, choices);
    const auto hint = meant.empty() ? std::string() : fmt::format("; did you mean '{}'?", meant);
    report(node, where,
           fmt::format("must be {}, not '{}'{}", fmt::join(choices, ", "), node.text, hint));
    return false;
}

Reader Reader::child(const Node& node, const Section& section, std::string where) const {
    if (node.kind == NodeKind::map) return {node, section, std::move(where), *problems_};
    report(node, where, fmt::format("must be {}, not {}", formOf(NodeKind::map), name(node.kind)));
    return {Broken{}, section, std::move(where), *problems_};
}

std::optional<Reader> Reader::section(std::string_view key) const {
    const Node* node = typed(key, NodeKind::map);
    if (!node) return std::nullopt;
    return Reader(*node, *keyOf(key).section, pathOf(key), *problems_);
}

std::vector<Reader> Reader::sections(std::string_view key) const {
    std::vector<Reader> out;
    const Key& known = keyOf(key);
    const Node* node = value(key);
    if (node && known.type == Type::one_or_more && node->kind == NodeKind::map) {
        out.push_back(child(*node, *known.section, pathOf(key)));
        return out;
    }
    node = typed(key, NodeKind::list);
    if (!node) return out;
    if (node->items.empty())
        report(*node, pathOf(key), "is empty; write at least one, or remove the key");
    for (size_t i = 0; i < node->items.size(); ++i)
        out.push_back(child(node->items[i], *known.section, fmt::format("{}[{}]", pathOf(key), i)));
    return out;
}

std::vector<std::pair<std::string, Reader>> Reader::named(std::string_view key) const {
    std::vector<std::pair<std::string, Reader>> out;
    const Node* node = typed(key, NodeKind::map);
    if (!node) return out;
    if (node->entries.empty()) report(*node, pathOf(key), "is empty; write at least one");
    for (const auto& entry : node->entries) {
        const auto where = fmt::format("{}.{}", pathOf(key), entry.key.text);
        if (const auto ok = checkName(entry.key.text); !ok)
            report(entry.key, where, "is wrong: " + ok.error().message);
        out.emplace_back(entry.key.text, child(entry.value, *keyOf(key).section, where));
    }
    return out;
}

}  // namespace regrow::conf
