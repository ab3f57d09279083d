#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

// Compares two trees through plain system calls and nothing of ours: content, type, mode, owner,
// mtime to the nanosecond, extended attributes, link targets, device numbers, which names share an
// inode, and holes.
namespace regrow::test {

class TreeCompare {
  public:
    // A line for each difference; empty when the trees are the same.
    static std::vector<std::string> run(const std::string& a, const std::string& b) {
        TreeCompare c(a, b);
        c.compare("");
        c.compareLinks();
        return c.found_;
    }

  private:
    using Inode = std::pair<dev_t, ino_t>;
    TreeCompare(std::string a, std::string b) : a_(std::move(a)), b_(std::move(b)) {}

    static std::set<std::string> names(const std::string& path) {
        std::set<std::string> out;
        DIR* dir = ::opendir(path.c_str());
        while (const dirent* item = dir ? ::readdir(dir) : nullptr)
            if (std::strcmp(item->d_name, ".") != 0 && std::strcmp(item->d_name, "..") != 0)
                out.insert(item->d_name);
        if (dir) ::closedir(dir);
        return out;
    }

    static std::map<std::string, std::string> attributes(const std::string& path) {
        std::map<std::string, std::string> out;
        std::string list(65536, '\0');
        const ssize_t n = ::llistxattr(path.c_str(), list.data(), list.size());
        for (ssize_t i = 0; i < n;
             i += static_cast<ssize_t>(std::strlen(&list[static_cast<size_t>(i)])) + 1) {
            const char* name = &list[static_cast<size_t>(i)];
            std::string value(65536, '\0');
            const ssize_t k = ::lgetxattr(path.c_str(), name, value.data(), value.size());
            value.resize(k > 0 ? static_cast<size_t>(k) : 0);
            out[name] = value;
        }
        return out;
    }

    static std::string content(const std::string& path) {
        std::ifstream in(path, std::ios::binary | std::ios::ate);
        std::string out(in ? static_cast<size_t>(in.tellg()) : 0, '\0');
        in.seekg(0).read(out.data(), static_cast<std::streamsize>(out.size()));
        return out;
    }

    static std::string target(const std::string& path) {
        std::string out(4096, '\0');
        const ssize_t n = ::readlink(path.c_str(), out.data(), out.size());
        out.resize(n > 0 ? static_cast<size_t>(n) : 0);
        return out;
    }

    void differ(const std::string& relative, const std::string& what) {
        std::string shown;
        for (const char c : relative) shown += c < 0x20 || c == 0x7f ? '?' : c;
        found_.push_back(shown + ": " + what);
    }

    void compare(const std::string& relative) {
        const std::string a = a_ + relative;
        const std::string b = b_ + relative;
        struct stat s{};
        struct stat t{};
        if (::lstat(a.c_str(), &s) != 0)
            return differ(relative, "cannot be looked at in the first");
        if (::lstat(b.c_str(), &t) != 0) return differ(relative, "missing");
        if ((s.st_mode & S_IFMT) != (t.st_mode & S_IFMT)) return differ(relative, "type");
        if (s.st_mode != t.st_mode) differ(relative, "mode");
        if (s.st_uid != t.st_uid || s.st_gid != t.st_gid) differ(relative, "owner");
        if (s.st_mtim.tv_sec != t.st_mtim.tv_sec || s.st_mtim.tv_nsec != t.st_mtim.tv_nsec)
            differ(relative, "time");
        if (attributes(a) != attributes(b)) differ(relative, "attributes");
        if (s.st_rdev != t.st_rdev) differ(relative, "device");
        if (S_ISDIR(s.st_mode)) return compareDirectories(relative);
        if (s.st_nlink > 1) links_a_[{s.st_dev, s.st_ino}].push_back(relative);
        if (t.st_nlink > 1) links_b_[{t.st_dev, t.st_ino}].push_back(relative);
        if (S_ISLNK(s.st_mode) && target(a) != target(b)) differ(relative, "target");
        if (S_ISREG(s.st_mode)) compareFiles(relative, s, t);
    }

    void compareFiles(const std::string& relative, const struct stat& s, const struct stat& t) {
        if (s.st_size != t.st_size) return differ(relative, "size");
        if (content(a_ + relative) != content(b_ + relative)) differ(relative, "content");
        if (t.st_blocks > s.st_blocks * 5 / 4 + 64) differ(relative, "holes were filled");
    }

    void compareDirectories(const std::string& relative) {
        const auto in_a = names(a_ + relative);
        const auto in_b = names(b_ + relative);
        for (const std::string& name : in_b)
            if (!in_a.contains(name)) differ(relative + "/" + name, "extra");
        for (const std::string& name : in_a) compare(relative + "/" + name);
    }

    void compareLinks() {
        std::set<std::vector<std::string>> a;
        std::set<std::vector<std::string>> b;
        for (auto& [inode, paths] : links_a_) a.insert(paths);
        for (auto& [inode, paths] : links_b_) b.insert(paths);
        for (const auto& group : a)
            if (!b.contains(group)) differ(group.front(), "hard links");
        for (const auto& group : b)
            if (!a.contains(group)) differ(group.front(), "hard links that were none");
    }

    std::string a_, b_;
    std::map<Inode, std::vector<std::string>> links_a_, links_b_;
    std::vector<std::string> found_;
};

}  // namespace regrow::test
