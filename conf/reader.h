#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "conf/problems.h"
#include "conf/schema.h"
#include "conf/tree.h"

namespace regrow::conf {

// Typed reading of one map by its section of the schema. Constructing it complains about unknown,
// missing and unbuilt keys; each get() about a value of the wrong form. What is absent or wrong
// leaves the target as it was, so reading always goes on to the end of the file. Asking for a key
// the schema lacks is a bug and asserts. Lives for one load; borrows everything.
class Reader {
  public:
    // `where` names the map in messages: "pools.wiki.check"; empty for the whole file.
    Reader(const Node& node, const Section& section, std::string where, Problems& problems);

    // Written, and with a form that could be read.
    bool has(std::string_view key) const { return value(key) != nullptr; }
    // Written as the keyword the schema allows for it ("off", "auto", "never").
    bool isWord(std::string_view key) const;

    void get(std::string_view key, bool& out) const;
    void get(std::string_view key, int& out) const;
    void get(std::string_view key, double& out) const;  // a percentage, as a fraction
    void get(std::string_view key, Duration& out) const;
    void get(std::string_view key, std::string& out) const;
    void get(std::string_view key, Address& out) const;
    // A numeric address into `out`, or a name with its port into `lookup`.
    void get(std::string_view key, Address& out, std::string& lookup) const;
    void get(std::string_view key, uint64_t& out) const;  // a size, in bytes
    void get(std::string_view key, std::vector<std::pair<std::string, std::string>>& out)
        const;  // of `pairs`, in the order written
    void get(std::string_view key, std::vector<std::string>& out) const;

    // Nothing when absent or not a map.
    std::optional<Reader> section(std::string_view key) const;
    // One a list item (or the one map of a one_or_more), so that positions in the file and in the
    // result agree; an item that is no map reads as an empty one, without complaints about what it
    // lacks.
    std::vector<Reader> sections(std::string_view key) const;
    std::vector<std::pair<std::string, Reader>> named(std::string_view key) const;

    const Node& node() const { return *node_; }
    const Node* value(std::string_view key) const;
    std::string pathOf(std::string_view key) const;
    // A complaint about a key's value; about the map when the key is absent or empty.
    void complain(std::string_view key, std::string_view message) const;
    void complain(std::string_view key, size_t item,
                  std::string_view message) const;  // about one of a list

  private:
    struct Broken {};
    Reader(Broken, const Section& section, std::string where, Problems& problems);

    const Key& keyOf(std::string_view key) const;
    const Node* typed(std::string_view key, NodeKind kind) const;
    const Node* scalar(std::string_view key) const { return typed(key, NodeKind::scalar); }
    Reader child(const Node& node, const Section& section, std::string where) const;
    void checkKeys();
    void checkKey(const Node::Entry& entry);
    void checkMissing();
    void readList(const Key& key, const Node& list, std::vector<std::string>& out) const;
    void readEnvironment(const Node& node, std::vector<std::string>& out) const;
    bool acceptChoice(const Key& key, const Node& node, std::string_view where) const;
    void report(const Node& at, std::string_view where, std::string_view message) const;

    const Node* node_;
    const Section* section_;
    std::string where_;
    Problems* problems_;
    bool refused_ = false;  // held an unbuilt key, so what it lacks may not be meant to be there
};

}  // namespace regrow::conf
