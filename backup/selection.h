#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backup/entry.h"
#include "backup/glob.h"
#include "base/result.h"

// Which part of a snapshot's tree is meant: what some patterns (glob.h) match, and all below it.
// Nothing said is everything. The directories on the way to a chosen name come along, so that it
// has a place to be, but they are not chosen themselves: where they exist they are left as they
// are. A value; any thread.
namespace regrow::backup {

class Selection {
  public:
    Selection() = default;
    explicit Selection(const std::vector<std::string>& patterns);

    bool everything() const { return patterns_.empty(); }
    // `path` as in Entry::path. A pattern may have chosen it or a directory above it.
    bool covers(std::string_view path, bool is_directory) const;
    bool covers(const Entry& entry) const {
        return covers(entry.path, entry.type == EntryType::directory);
    }
    // The chosen entries and the directories that lead to them, in the order of `entries`, which is
    // a whole tree's. Code::not_found, naming it, for a pattern that chooses nothing.
    Result<std::vector<Entry>> of(std::vector<Entry> entries) const;
    // Tells two selections apart in a journal; empty for everything.
    std::string identity() const;

  private:
    std::vector<std::string> patterns_;
    std::vector<PathPatterns> rules_;  // one a pattern
};

}  // namespace regrow::backup
