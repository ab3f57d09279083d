#pragma once

#include <sys/stat.h>

#include <array>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

// A tree reached through descriptors only. A name below the root is always (descriptor of its
// directory, last name): no call here or in its users follows a symlink inside the tree, so a link
// planted in a captured or restored tree leads nowhere. Directories are found with
// openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), or name by name where a kernel or sandbox refuses
// that; paths longer than PATH_MAX are taken in pieces.
//
// One object per thread; a few directories stay open, for neighbours in path order share theirs.
namespace regrow::backup {

struct SplitPath {
    std::string_view directory;  // "" for names in the root
    std::string name;            // the last component
};
SplitPath splitPath(std::string_view path);
std::string joinPath(std::string_view directory, std::string_view name);

// A path for people and messages: control bytes, backslashes and bytes that are no UTF-8 come out
// as \xHH.
std::string printable(std::string_view path);

class TreeDir {
  public:
    // Follows symlinks in `path` itself (the operator named it), never below it.
    static Result<TreeDir> open(const std::string& path);
    explicit TreeDir(UniqueFd root) : root_(std::move(root)) {}

    int root() const { return root_.get(); }
    // A second object on the same root, for another thread.
    Result<TreeDir> again() const;
    // The directory `path` ("" is the root); stays open until a few more have been asked for, or
    // forget().
    Result<int> at(std::string_view path);
    // A descriptor of the caller's own.
    Result<UniqueFd> openDirectory(std::string_view path) const;
    // After directories were removed or renamed.
    void forget();

  private:
    static constexpr size_t kKept = 16;
    struct Kept {
        std::string path;
        UniqueFd fd;
    };
    UniqueFd root_;
    std::array<Kept, kKept> kept_;
    size_t next_ = 0;
};

}  // namespace regrow::backup
