#include "backup/verify.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "backup/index.h"
#include "backup/pack.h"

namespace regrow::backup {
namespace {

// What checking a pack found out: where its sound pieces are.
struct CheckedPack {
    bool readable = false;  // its table could be read
    std::vector<PackedFrame> frames;
    std::vector<std::vector<uint32_t>> offsets;  // of each frame's pieces
    std::set<uint32_t> bad_frames;

    bool holds(const Piece& p) const {
        if (!readable || p.frame >= frames.size() || bad_frames.contains(p.frame)) return false;
        const auto& starts = offsets[p.frame];
        const auto at = std::lower_bound(starts.begin(), starts.end(), p.frame_offset);
        if (at == starts.end() || *at != p.frame_offset) return false;
        const PackedPiece& piece = frames[p.frame].pieces[static_cast<size_t>(at - starts.begin())];
        return piece.id == p.id && piece.length == p.length;
    }
};

class Verifier {
  public:
    Verifier(Store& store, const VerifyOptions& options)
        : store_(store),
          options_(options),
          chunk_mac_(store.keys().chunkMac()),
          node_mac_(store.keys().nodeMac()) {}

    Result<VerifyReport> run() {
        REGROW_CHECK(findSnapshots());
        REGROW_TRY(const auto packs, choosePacks());
        for (const ObjectInfo& o : packs) bytes_total_ += o.size;
        for (const ObjectInfo& o : packs) REGROW_CHECK(checkPack(o));
        if (!options_.only) REGROW_CHECK(checkIndex());
        for (const Snapshot& s : snapshots_) REGROW_CHECK(checkSnapshot(s));
        REGROW_CHECK(markMissingPacks());
        return std::move(report_);
    }

  private:
    Result<> findSnapshots() {
        if (options_.only) {
            snapshots_.push_back(*options_.only);
        } else {
            REGROW_TRY(SnapshotList list, store_.snapshots().listAll());
            snapshots_ = std::move(list.snapshots);
            report_.damaged_snapshots = std::move(list.damaged);
        }
        report_.snapshots = snapshots_.size();
        return {};
    }

    // All packs, or those the one snapshot names; of a missing one nothing is checked here.
    Result<std::vector<ObjectInfo>> choosePacks() {
        REGROW_TRY(auto objects, store_.repository().list("packs"));
        std::erase_if(objects, [](const ObjectInfo& o) { return !packIdOf(o.name); });
        if (!options_.only) return objects;
        std::set<PackId> needed;
        const auto packs = store_.packsOf(*options_.only);
        if (!packs)
            return std::vector<ObjectInfo>();  // checkSnapshot() reports a tree that cannot be read
        for (const uint32_t number : *packs) {
            REGROW_TRY(const PackInfo info, store_.packs().pack(number));
            needed.insert(info.id);
        }
        std::erase_if(objects,
                      [&](const ObjectInfo& o) { return !needed.contains(*packIdOf(o.name)); });
        return objects;
    }

    Result<> checkPack(const ObjectInfo& object) {
        const PackId id = *packIdOf(object.name);
        DamagedPack damage{id, false, {}};
        CheckedPack checked;
        const auto bytes = store_.repository().getAll(object.name, kMaxPackSize);
        if (!bytes && bytes.error().code == Code::not_found)
            return {};  // a prune took it meanwhile; references will tell
        if (!bytes && bytes.error().code != Code::corrupt && bytes.error().code != Code::io)
            return std::unexpected(bytes.error());
        if (bytes) {
            checkBytes(id, *bytes, checked, damage);
        } else {
            damage.findings.push_back(bytes.error().message);
        }
        ++report_.packs;
        report_.bytes += object.size;
        checked_.emplace(id, std::move(checked));
        if (options_.progress) options_.progress(report_.bytes, bytes_total_);
        return damage.findings.empty() ? Result<>() : noteDamage(std::move(damage));
    }

    void checkBytes(const PackId& id, std::string_view bytes, CheckedPack& checked,
                    DamagedPack& damage) {
        if (sha256(bytes) != id) damage.findings.emplace_back("its bytes do not match its name");
        auto contents = readPackContents(store_.repository(), store_.keys(), id, bytes.size());
        if (!contents) return damage.findings.push_back(contents.error().message);
        checked.readable = true;
        checked.frames = std::move(contents->frames);
        auto opener = FrameOpener::make(store_.keys(), contents->info);
        if (!opener) return damage.findings.push_back(opener.error().message);
        for (const PackedFrame& f : checked.frames) {
            std::string why =
                checkFrame(f, contents->kind, bytes, *opener, checked.offsets.emplace_back());
            if (why.empty()) continue;
            checked.bad_frames.insert(f.span.number);
            damage.findings.push_back(
                fmt::format("frame {} ({} pieces): {}", f.span.number, f.pieces.size(), why));
        }
    }

    // Empty when sound.
    std::string checkFrame(const PackedFrame& f, PackKind kind, std::string_view bytes,
                           FrameOpener& opener, std::vector<uint32_t>& offsets) {
        ++report_.frames;
        report_.pieces += f.pieces.size();
        uint32_t offset = 0;
        for (const PackedPiece& p : f.pieces) offsets.push_back(offset), offset += p.length;
        const auto opened = opener.open(f.span, bytes.substr(f.span.offset, f.span.stored), plain_);
        if (!opened) return opened.error().message;
        const Mac& mac = kind == PackKind::tree ? node_mac_ : chunk_mac_;
        for (size_t i = 0; i < f.pieces.size(); ++i)
            if (mac.of(std::string_view(plain_).substr(offsets[i], f.pieces[i].length)) !=
                f.pieces[i].id)
                return "a piece's bytes are not those of its id";
        return {};
    }

    Result<> noteDamage(DamagedPack damage) {
        if (options_.mark_bad)
            REGROW_CHECK(
                markBad(store_.repository(), store_.keys(), damage.id, damage.findings.front()));
        report_.damaged_packs.push_back(std::move(damage));
        return {};
    }

    Result<> checkIndex() {
        REGROW_TRY(const ChunkIndex index,
                   ChunkIndex::load(store_.repository(), store_.keys(), store_.packs()));
        report_.notes = index.problems();
        return {};
    }

    Result<> checkSnapshot(const Snapshot& snapshot) {
        SnapshotDamage damage{snapshot, {}, {}, {}};
        const auto on_entry = [&](const Entry& e) -> Result<> {
            DamagedFile file{e.path, 0};
            for (const Piece& p : e.pieces) {
                REGROW_TRY(const bool sound, pieceSound(p));
                if (!sound) file.bytes_lost += p.length;
            }
            if (file.bytes_lost > 0) damage.files.push_back(std::move(file));
            return {};
        };
        const auto on_lost = [&](const std::string& first, const std::string& end,
                                 const Error& error) -> Result<> {
            damage.ranges.push_back({first, end, error.message});
            return {};
        };
        const auto walked = store_.forEachEntry(snapshot, on_entry, on_lost);
        if (!walked && walked.error().code != Code::corrupt &&
            walked.error().code != Code::not_found)
            return std::unexpected(walked.error());
        if (!walked) damage.error = walked.error().message;
        if (!damage.error.empty() || !damage.ranges.empty() || !damage.files.empty())
            report_.losses.push_back(std::move(damage));
        return {};
    }

    Result<bool> pieceSound(const Piece& p) {
        REGROW_TRY(const PackInfo info, store_.packs().pack(p.pack));
        const auto checked = checked_.find(info.id);
        if (checked == checked_.end()) missing_.insert(info.id);
        if (checked != checked_.end() && checked->second.holds(p)) return true;
        return store_.findPiece(p).has_value();  // a sound copy elsewhere: nothing is lost
    }

    Result<> markMissingPacks() {
        for (const PackId& id : missing_) REGROW_CHECK(noteDamage({id, true, {"it is missing"}}));
        return {};
    }

    Store& store_;
    const VerifyOptions& options_;
    Mac chunk_mac_;
    Mac node_mac_;
    VerifyReport report_;
    std::vector<Snapshot> snapshots_;
    std::map<PackId, CheckedPack> checked_;
    std::set<PackId> missing_;
    std::string plain_;
    uint64_t bytes_total_ = 0;
};

}  // namespace

Result<VerifyReport> verify(Store& store, const VerifyOptions& options) {
    return Verifier(store, options).run();
}

}  // namespace regrow::backup
