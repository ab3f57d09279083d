#pragma once

#include <string>
#include <string_view>
#include <vector>

// Exclusion patterns over raw bytes, gitignore's habits: `*.tmp` matches a name at any depth,
// `cache/*.db` or `/cache` a path from the root, `logs/` a directory only. `*` and `?` stop at '/',
// `**` does not, `[a-z]` and `[!a]` are sets, a backslash takes the next byte as it is. What lies
// below an excluded directory is never looked at. A value; immutable after construction, any
// thread.
namespace regrow::backup {

bool globMatches(std::string_view pattern, std::string_view text);

class ExcludeList {
  public:
    ExcludeList() = default;
    explicit ExcludeList(const std::vector<std::string>& patterns);
    // `path` relative to the root, without a leading '/'.
    bool excludes(std::string_view path, bool is_directory) const;
    bool empty() const { return rules_.empty(); }

  private:
    struct Rule {
        std::string pattern;
        bool whole_path = false;
        bool directories_only = false;
    };
    std::vector<Rule> rules_;
};

}  // namespace regrow::backup
