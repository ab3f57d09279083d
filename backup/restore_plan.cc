#include "backup/restore_plan.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "backup/store.h"
#include "backup/tree_dir.h"

namespace regrow::backup {
namespace {

std::unexpected<Error> corrupt(const Entry& entry, std::string_view what) {
    return fail(Code::corrupt, Source::repository,
                "the snapshot's tree: \"" + printable(entry.path) + "\": " + std::string(what));
}

bool goodName(std::string_view name) {
    return !name.empty() && name != "." && name != ".." &&
           name.find('\0') == std::string_view::npos;
}

bool goodPath(std::string_view path) {
    if (path.empty()) return true;
    while (true) {
        const size_t slash = path.find('/');
        if (!goodName(path.substr(0, slash))) return false;
        if (slash == std::string_view::npos) return true;
        path.remove_prefix(slash + 1);
    }
}

Result<> checkPieces(const Entry& entry) {
    if (entry.type != EntryType::regular && !entry.pieces.empty())
        return corrupt(entry, "content of what is no file");
    uint64_t at = 0;
    for (const Piece& piece : entry.pieces) {
        if (piece.length == 0 || piece.file_offset < at || piece.length > entry.size ||
            piece.file_offset > entry.size - piece.length)
            return corrupt(entry, "pieces do not fit the file");
        at = piece.file_offset + piece.length;
    }
    return {};
}

class Checker {
  public:
    Result<> check(const Entry& entry, const Entry* previous) {
        if (!goodPath(entry.path)) return corrupt(entry, "not a path below the root");
        if (previous ? !pathLess(previous->path, entry.path) : !entry.path.empty())
            return corrupt(entry, "out of order");
        if (!previous && entry.type != EntryType::directory)
            return corrupt(entry, "the root is no directory");
        if (previous && !directories_.contains(splitPath(entry.path).directory))
            return corrupt(entry, "its parent is no directory");
        if (entry.type == EntryType::directory) directories_.insert(entry.path);
        return checkPieces(entry);
    }

  private:
    std::unordered_set<std::string_view> directories_;
};

}  // namespace

Result<TreePlan> planTree(std::span<const Entry> entries) {
    if (entries.empty())
        return fail(Code::corrupt, Source::repository, "the snapshot's tree has no root");
    TreePlan plan;
    Checker checker;
    std::unordered_map<uint64_t, uint32_t> firsts;
    for (uint32_t i = 0; i < entries.size(); ++i) {
        const Entry& entry = entries[i];
        REGROW_CHECK(checker.check(entry, i ? &entries[i - 1] : nullptr));
        if (entry.type == EntryType::directory) {
            plan.directories.push_back(i);
            continue;
        }
        if (entry.type == EntryType::socket) continue;
        if (entry.link_group) {
            const auto [it, fresh] = firsts.try_emplace(entry.link_group, i);
            if (!fresh && entries[it->second].type != entry.type)
                return corrupt(entry, "linked to another type");
            if (!fresh) {
                plan.links.push_back({i, it->second});
                continue;
            }
        }
        (entry.type == EntryType::regular ? plan.files : plan.others).push_back(i);
    }
    return plan;
}

ReadPlan planReads(std::span<const Entry> entries, const TreePlan& tree,
                   const std::function<bool(PieceRef)>& needed) {
    ReadPlan plan;
    plan.pending.resize(entries.size());
    for (const uint32_t file : tree.files)
        for (uint32_t p = 0; p < entries[file].pieces.size(); ++p)
            if (needed({file, p})) {
                plan.pieces.push_back({file, p});
                plan.bytes += entries[file].pieces[p].length;
                ++plan.pending[file];
            }
    const auto pieceOf = [&](const PieceRef& r) -> const Piece& {
        return entries[r.entry].pieces[r.piece];
    };
    std::ranges::sort(plan.pieces, {}, [&](const PieceRef& r) {
        const Piece& p = pieceOf(r);
        return std::tuple(p.pack, p.frame, p.frame_offset, r.entry, r.piece);
    });
    for (uint32_t i = 0; i < plan.pieces.size(); ++i) {
        const Piece& piece = pieceOf(plan.pieces[i]);
        const bool same_pack = !plan.frames.empty() && plan.frames.back().pack == piece.pack;
        if (!same_pack || plan.frames.back().frame != piece.frame) {
            if (!same_pack || plan.runs.back().bytes >= kRunBytes)
                plan.runs.push_back({static_cast<uint32_t>(plan.frames.size()), 0, 0});
            plan.frames.push_back({piece.pack, piece.frame, i, 0});
            ++plan.runs.back().frames;
        }
        ++plan.frames.back().pieces;
        plan.runs.back().bytes += piece.length;
    }
    return plan;
}

}  // namespace regrow::backup
