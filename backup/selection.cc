#include "backup/selection.h"

#include <algorithm>
#include <iterator>

#include "backup/digest.h"
#include "backup/tree_dir.h"

namespace regrow::backup {
namespace {

bool isBelow(std::string_view path, std::string_view directory) {
    return directory.empty() || (path.size() > directory.size() && path.starts_with(directory) &&
                                 path[directory.size()] == '/');
}

// The directories from the root to where we are that nobody needed yet.
class Way {
  public:
    void leaveFor(std::string_view path) {
        while (!open_.empty() && !isBelow(path, open_.back().path)) open_.pop_back();
    }
    void enter(Entry directory) { open_.push_back(std::move(directory)); }
    void take(std::vector<Entry>& into) {
        std::ranges::move(open_, std::back_inserter(into));
        open_.clear();
    }

  private:
    std::vector<Entry> open_;
};

bool chosenBy(const PathPatterns& rule, std::string_view path, bool is_directory) {
    if (rule.match(path, is_directory)) return true;
    for (size_t slash = path.find('/'); slash != std::string_view::npos;
         slash = path.find('/', slash + 1))
        if (rule.match(path.substr(0, slash), true)) return true;
    return false;
}

}  // namespace

Selection::Selection(const std::vector<std::string>& patterns) : patterns_(patterns) {
    for (const std::string& pattern : patterns) rules_.emplace_back(std::vector{pattern});
}

bool Selection::covers(std::string_view path, bool is_directory) const {
    return everything() || std::ranges::any_of(rules_, [&](const PathPatterns& rule) {
               return chosenBy(rule, path, is_directory);
           });
}

Result<std::vector<Entry>> Selection::of(std::vector<Entry> entries) const {
    if (everything()) return entries;
    std::vector<Entry> chosen;
    std::vector<bool> used(rules_.size());
    Way way;
    for (Entry& entry : entries) {
        const bool directory = entry.type == EntryType::directory;
        way.leaveFor(entry.path);
        bool wanted = false;
        for (size_t i = 0; i < rules_.size(); ++i)
            if (chosenBy(rules_[i], entry.path, directory)) wanted = used[i] = true;
        if (wanted) {
            way.take(chosen);
            chosen.push_back(std::move(entry));
        } else if (directory) {
            way.enter(std::move(entry));
        }
    }
    const auto idle = std::ranges::find(used, false);
    if (idle == used.end()) return chosen;
    return fail(Code::not_found, Source::config,
                "nothing in the snapshot matches \"" +
                    printable(patterns_[static_cast<size_t>(idle - used.begin())]) +
                    "\"; `regrow ls` shows what is in it");
}

std::string Selection::identity() const {
    std::string all;
    for (const std::string& pattern : patterns_) all += pattern + '\0';
    return all.empty() ? "" : hexOf(sha256(all));
}

}  // namespace regrow::backup
