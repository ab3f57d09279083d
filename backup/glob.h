#pragma once

#include <string>
#include <string_view>
#include <vector>

// Patterns over raw bytes, gitignore's habits, for what a capture leaves out and what a restore
// takes: `*.tmp` matches a name at any depth, `cache/*.db` or `/cache` a path from the root,
// `logs/` a directory only. `*` and `?` stop at '/',
// `**` does not, `[a-z]` and `[!a]` are sets, a backslash takes the next byte as it is. What
// matches stands for all that lies below it. A value; immutable after construction, any thread.
namespace regrow::backup {

bool globMatches(std::string_view pattern, std::string_view text);

class PathPatterns {
  public:
    PathPatterns() = default;
    explicit PathPatterns(const std::vector<std::string>& patterns);
    // `path` relative to the root, without a leading '/'.
    bool match(std::string_view path, bool is_directory) const;
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
