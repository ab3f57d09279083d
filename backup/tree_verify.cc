#include "backup/tree_verify.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "backup/restore_target.h"
#include "backup/sqlite_capture.h"
#include "backup/store.h"
#include "backup/walk.h"

namespace regrow::backup {
namespace {

constexpr size_t kMostFindings = 100;

class Verifier {
  public:
    Verifier(const TreeDir& root, std::span<const Entry> entries, const TreeVerifyOptions& options)
        : root_(root), entries_(entries), options_(options), privileged_(::geteuid() == 0) {}

    Result<std::vector<std::string>> run() {
        const WalkOptions how{
            .exclude = nullptr, .with_xattrs = true, .with_sockets = true, .known = {}};
        REGROW_TRY(walked_, walk(root_, how));
        for (const Problem& problem : walked_.problems)
            if (covers(problem.path, false)) find(problem.path, problem.message);
        compareNames();
        REGROW_CHECK(compareContent());
        return std::move(findings_);
    }

  private:
    bool covers(std::string_view path, bool is_directory) const {
        return !options_.selection || options_.selection->covers(path, is_directory);
    }
    bool covers(const Entry& entry) const {
        return covers(entry.path, entry.type == EntryType::directory);
    }

    void find(std::string_view path, std::string_view what) {
        if (findings_.size() < kMostFindings)
            findings_.push_back(
                fmt::format("{}: {}", path.empty() ? "the root" : printable(path), what));
    }

    void compareNames() {
        size_t i = 0;
        size_t k = 0;
        const auto& there = walked_.entries;
        while (i < entries_.size() || k < there.size()) {
            if (k == there.size() ||
                (i < entries_.size() && pathLess(entries_[i].path, there[k].path)))
                missing(entries_[i++]);
            else if (i == entries_.size() || pathLess(there[k].path, entries_[i].path))
                unknown(there[k++]);
            else
                compare(entries_[i++], k++);
        }
    }

    void unknown(const Entry& there) {
        if (covers(there)) find(there.path, "is not in the snapshot");
    }

    void missing(const Entry& wanted) {
        if (wanted.type != EntryType::socket && !options_.excused.contains(wanted.path))
            find(wanted.path, "is missing");
    }

    void compare(const Entry& wanted, size_t k) {
        if (!covers(wanted)) return;  // a directory on the way
        Entry there = std::move(walked_.entries[k]);
        if (options_.excused.contains(wanted.path)) there.xattrs = wanted.xattrs;
        const bool owners = privileged_ && !options_.excused.contains(wanted.path);
        for (const std::string& difference : differences(wanted, there, owners_, owners))
            find(wanted.path, difference);
        compareLinks(wanted, {walked_.devices[k], there.inode});
        walked_.entries[k].path = std::move(there.path);
    }

    void compareLinks(const Entry& wanted, std::pair<uint64_t, uint64_t> inode) {
        if (wanted.type == EntryType::directory) return;
        const auto [known, fresh] = group_of_.try_emplace(inode, wanted.link_group);
        if (!fresh && (known->second != wanted.link_group || !wanted.link_group))
            find(wanted.path,
                 "shares its inode with another name that it should not share it with");
        if (!wanted.link_group) return;
        const auto [other, first] = inode_of_.try_emplace(wanted.link_group, inode);
        if (!first && other->second != inode)
            find(wanted.path, "is not linked to the names it should be linked to");
    }

    Result<> compareContent() {
        TreeDir tree(UniqueFd{});
        REGROW_TRY(tree, root_.again());
        uint64_t done = 0;
        uint64_t files = 0;
        for (const Entry& entry : entries_) {
            if (entry.type != EntryType::regular) continue;
            const bool database = options_.check_databases && entry.kind == ContentKind::sqlite;
            if (!options_.mac && !database) continue;
            const SplitPath at = splitPath(entry.path);
            const auto directory = tree.at(at.directory);
            if (!directory) continue;  // missing, and told so
            if (options_.mac) REGROW_CHECK(compareFile(entry, *directory, at.name));
            if (database) REGROW_CHECK(checkDatabase(entry, *directory, at.name));
            done += entry.size;
            if (options_.progress) options_.progress({"verify", done, 0, ++files, 0});
        }
        return {};
    }

    Result<> compareFile(const Entry& entry, int directory, const std::string& name) {
        const auto missing = piecesMissing(directory, name, entry, *options_.mac, [](uint64_t) {});
        if (!missing) {
            find(entry.path, missing.error().message);
            return {};
        }
        const auto bad = std::ranges::count(*missing, true);
        if (bad)
            find(entry.path,
                 fmt::format("content differs in {} of {} pieces", bad, missing->size()));
        return {};
    }

    Result<> checkDatabase(const Entry& entry, int directory, const std::string& name) {
        const auto findings = checkSqlite(directory, name);
        if (!findings)
            find(entry.path, "SQLite cannot open it: " + findings.error().message);
        else if (!findings->empty())
            find(entry.path, "SQLite's integrity check: " + findings->front());
        return {};
    }

    const TreeDir& root_;
    std::span<const Entry> entries_;
    const TreeVerifyOptions& options_;
    bool privileged_;
    OwnerNames owners_;
    WalkResult walked_;
    std::map<std::pair<uint64_t, uint64_t>, uint64_t> group_of_;
    std::map<uint64_t, std::pair<uint64_t, uint64_t>> inode_of_;
    std::vector<std::string> findings_;
};

}  // namespace

Result<std::vector<std::string>> verifyTree(const TreeDir& root, std::span<const Entry> entries,
                                            const TreeVerifyOptions& options) {
    return Verifier(root, entries, options).run();
}

}  // namespace regrow::backup
