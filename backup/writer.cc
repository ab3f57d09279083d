#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "backup/lease.h"
#include "backup/local_repository.h"
#include "backup/pack.h"
#include "backup/pack_storer.h"
#include "backup/read_back.h"
#include "backup/store_impl.h"
#include "backup/task_pool.h"
#include "backup/tree.h"
#include "base/random.h"
#include "base/text.h"

namespace regrow::backup {
namespace {

constexpr size_t kPackTarget = size_t{64} << 20;

struct HashId {
    size_t operator()(const ChunkId& id) const {
        size_t h = 0;
        std::copy_n(id.begin(), sizeof h, reinterpret_cast<unsigned char*>(&h));
        return h;
    }
};

// One pack in the making, or on its way into the repository. Its pieces are known here only until
// it is safely stored: a pack that could not be written must leave no trace in an index.
struct OpenPack {
    struct Held {
        uint32_t length = 0;
        PackWriter::Place place;
    };
    OpenPack(const Keyring& keys, PackKind kind, uint32_t number_, TaskPool& pool)
        : writer(std::in_place, keys, kind, kPackTarget, &pool), number(number_) {}

    std::optional<ChunkIndex::Place> find(const ChunkId& id, uint32_t length) const {
        const auto held = pieces.find(id);
        if (held == pieces.end() || held->second.length != length) return std::nullopt;
        return ChunkIndex::Place{number, held->second.place.frame, held->second.place.frame_offset};
    }

    std::optional<PackWriter> writer;  // until it is handed to be stored
    uint32_t number;
    std::unordered_map<ChunkId, Held, HashId> pieces;
};

void count(const std::vector<Entry>& entries, SnapshotHeader& h) {
    for (const Entry& e : entries) {
        const bool file = e.type == EntryType::regular;
        (file ? h.files : e.type == EntryType::directory ? h.directories : h.others) += 1;
        h.bytes += file ? e.size : 0;
    }
}

SnapshotHeader headerOf(const SnapshotDraft& d) {
    SnapshotHeader h;
    h.name = d.name;
    h.epoch = d.epoch;
    h.captured_at = d.captured_at;
    h.type = d.type;
    h.flags = d.flags;
    h.capture = d.capture;
    h.host = d.host;
    h.source = d.source;
    h.problems = d.problems;
    h.problems_total = d.problems.size();
    h.has_parent = d.parent.has_value();
    if (d.parent) h.parent = d.parent->id;
    if (d.parent) h.parent_number = d.parent->header.number;
    h.lineage = d.lineage;
    if (h.lineage.empty())
        h.lineage = d.parent ? d.parent->header.lineage : toHex(secureRandomBytes(16));
    return h;
}

}  // namespace

struct Writer::Impl {
    Impl(Store::Impl& s, Lease l, bool read_back)
        : store(s),
          lease(std::move(l)),
          chunk_mac(s.keys.chunkMac()),
          node_mac(s.keys.nodeMac()),
          storer(*s.repository, s.keys, read_back) {}

    Store::Impl& store;
    Lease lease;
    Mac chunk_mac;
    Mac node_mac;
    WriterStats stats;
    std::unique_ptr<ChunkIndex> index;
    std::unique_ptr<OpenPack> open_content;
    std::unique_ptr<OpenPack> open_tree;
    std::vector<std::unique_ptr<OpenPack>> storing;  // handed over, not known to be stored
    std::map<PackId, Proof> proved_early;            // by the storer, while others were filled
    std::set<uint32_t> referenced;                   // packs the snapshot needs
    std::map<uint32_t, bool> usable;                 // by pack number, as stillStored() found
    std::optional<std::set<PackId>> stored;          // sound packs, listed once
    std::optional<Snapshot> published;
    bool finished = false;
    bool failed = false;  // a pack could not be written: places handed out mean nothing
    TaskPool pool{TaskPool::usualThreads()};
    PackStorer storer;  // uses the pool while it ends

    Result<> loadIndex() {
        if (index) return {};
        REGROW_TRY(ChunkIndex loaded, ChunkIndex::load(*store.repository, store.keys, store.packs));
        index = std::make_unique<ChunkIndex>(std::move(loaded));
        return {};
    }
    Result<ChunkIndex::Place> put(std::unique_ptr<OpenPack>& pack, PackKind kind, const ChunkId& id,
                                  std::string_view bytes, bool look_up, bool& is_new);
    std::optional<ChunkIndex::Place> findUnstored(const std::unique_ptr<OpenPack>& open,
                                                  const ChunkId& id, uint32_t length) const;
    Result<> finishPack(std::unique_ptr<OpenPack>& pack);
    Result<> settle(std::vector<StoredPack> packs);
    void settleOne(StoredPack ended);
    Result<bool> usablePack(uint32_t number);
    Result<> listStored();
    Result<TreeRoot> storeTree(std::vector<Entry> entries, bool share_nodes);
    Result<> noteReferences(const std::vector<Entry>& entries);
    Result<> checkStanding();
    Result<> proveOne(const PackContents& contents, Proof& proof);
};

Result<ChunkIndex::Place> Writer::Impl::put(std::unique_ptr<OpenPack>& pack, PackKind kind,
                                            const ChunkId& id, std::string_view bytes, bool look_up,
                                            bool& is_new) {
    if (failed)
        return fail(Code::internal, Source::us, "this writer failed before; start a new one");
    const auto length = static_cast<uint32_t>(bytes.size());
    is_new = false;
    if (const auto unstored = findUnstored(pack, id, length)) return *unstored;
    REGROW_CHECK(loadIndex());
    const auto known = look_up ? index->find(id, length) : std::nullopt;
    if (known) {
        usable[known->pack] = true;  // the index holds sound packs only
        return *known;
    }
    is_new = true;
    if (!pack) pack = std::make_unique<OpenPack>(store.keys, kind, store.packs.reserve(), pool);
    const PackWriter::Place place = pack->writer->add(id, bytes);
    pack->pieces.emplace(id, OpenPack::Held{length, place});
    const ChunkIndex::Place result{pack->number, place.frame, place.frame_offset};
    if (pack->writer->full()) REGROW_CHECK(finishPack(pack));
    return result;
}

std::optional<ChunkIndex::Place> Writer::Impl::findUnstored(const std::unique_ptr<OpenPack>& open,
                                                            const ChunkId& id,
                                                            uint32_t length) const {
    if (open)
        if (const auto place = open->find(id, length)) return place;
    for (const auto& pack : storing)
        if (const auto place = pack->find(id, length)) return place;
    return std::nullopt;
}

// Hands the pack over; the one before it is stored then.
Result<> Writer::Impl::finishPack(std::unique_ptr<OpenPack>& pack) {
    if (!pack) return {};
    REGROW_CHECK(lease.renewIfDue());
    storer.store(pack->number, *std::exchange(pack->writer, std::nullopt));
    storing.push_back(std::move(pack));
    return settle(storer.ended(false));
}

Result<> Writer::Impl::settle(std::vector<StoredPack> packs) {
    for (StoredPack& ended : packs) {
        if (!ended.stored) {
            failed = true;
            return std::move(ended.stored);
        }
        settleOne(std::move(ended));
    }
    return {};
}

void Writer::Impl::settleOne(StoredPack ended) {
    const auto pack = std::move(storing.front());  // they end in order
    storing.erase(storing.begin());
    store.packs.assign(pack->number, ended.contents.info);
    for (const PackedFrame& f : ended.contents.frames) store.packs.addFrame(pack->number, f.span);
    for (const auto& [id, held] : pack->pieces)
        index->add(id, held.length, {pack->number, held.place.frame, held.place.frame_offset});
    usable[pack->number] = true;
    stats.stored_bytes += ended.contents.size;
    ++stats.packs;
    if (ended.proof) proved_early.emplace(ended.contents.info.id, *ended.proof);
    index->addUnproven(std::move(ended.contents));
}

Result<> Writer::Impl::listStored() {
    if (stored) return {};
    REGROW_TRY(const auto objects, store.repository->list("packs"));
    REGROW_TRY(const auto bad, markedPacks(*store.repository, "bad"));
    REGROW_TRY(const auto condemned, markedPacks(*store.repository, "condemned"));
    stored.emplace();
    for (const ObjectInfo& o : objects) {
        const auto id = packIdOf(o.name);
        if (id && !bad.contains(*id) && !condemned.contains(*id)) stored->insert(*id);
    }
    return {};
}

Result<bool> Writer::Impl::usablePack(uint32_t number) {
    const auto known = usable.find(number);
    if (known != usable.end()) return known->second;
    REGROW_CHECK(listStored());
    REGROW_TRY(const PackInfo info, store.packs.pack(number));
    return usable[number] = stored->contains(info.id);
}

Result<> Writer::Impl::noteReferences(const std::vector<Entry>& entries) {
    for (const Entry& e : entries) {
        for (const Piece& p : e.pieces) {
            REGROW_TRY(const bool there, usablePack(p.pack));
            if (!there)
                return fail(
                    Code::corrupt, Source::repository,
                    "'" + e.path +
                        "' is in a pack that is damaged or gone; a full backup stores it again");
            referenced.insert(p.pack);
        }
    }
    return {};
}

// A full snapshot stores its nodes anew, side by side: reading its tree then touches one or two
// packs, however many incrementals came before.
Result<TreeRoot> Writer::Impl::storeTree(std::vector<Entry> entries, bool share_nodes) {
    const StoreNode put_node = [&](std::string_view bytes) -> Result<NodeRef> {
        if (bytes.size() > kMaxPieceSize)
            return fail(Code::internal, Source::us, "a tree node grew too large");
        const ChunkId id = node_mac.of(bytes);
        bool is_new = false;
        REGROW_TRY(const auto place,
                   put(open_tree, PackKind::tree, id, bytes, share_nodes, is_new));
        referenced.insert(place.pack);
        return NodeRef{id, static_cast<uint32_t>(bytes.size()), place.pack, place.frame,
                       place.frame_offset};
    };
    return writeTree(std::move(entries), store.packs, store.keys.splitSeed(), put_node,
                     [&]() -> Result<> {
                         REGROW_CHECK(finishPack(open_tree));
                         return settle(storer.ended(true));
                     });
}

// Looked at before and after publishing: a prune that took this writer for dead may have condemned
// what it counts on.
Result<> Writer::Impl::checkStanding() {
    const auto lost = [](std::string_view why) {
        Error e =
            fail(Code::cancelled, Source::repository, std::string(why) + "; run the backup again")
                .error();
        e.retryable = true;
        return std::unexpected(std::move(e));
    };
    REGROW_TRY(const bool held, lease.held());
    if (!held) return lost("this backup stood still for so long that a prune took its packs back");
    REGROW_TRY(const auto condemned, markedPacks(*store.repository, "condemned"));
    if (condemned.empty()) return {};
    for (const uint32_t number : referenced) {
        REGROW_TRY(const PackInfo info, store.packs.pack(number));
        if (condemned.contains(info.id))
            return lost("a prune condemned a pack this backup counted on");
    }
    return {};
}

Result<> Writer::Impl::proveOne(const PackContents& contents, Proof& proof) {
    const auto early = proved_early.find(contents.info.id);
    if (early == proved_early.end())
        return readBack(*store.repository, store.keys, contents, proof);
    proof.packs += early->second.packs;
    proof.frames += early->second.frames;
    proof.bytes += early->second.bytes;
    return {};
}

Writer::Writer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Writer::~Writer() = default;
const WriterStats& Writer::stats() const {
    return impl_->stats;
}

Result<std::unique_ptr<Writer>> Store::writer(bool read_back) {
    if (auto* local = dynamic_cast<LocalRepository*>(impl_->repository.get()))
        local->sweepTemporaries();
    REGROW_TRY(Lease lease, Lease::acquire(*impl_->repository, impl_->keys));
    return std::unique_ptr<Writer>(
        new Writer(std::make_unique<Writer::Impl>(*impl_, std::move(lease), read_back)));
}

Result<Piece> Writer::add(uint64_t file_offset, std::string_view bytes) {
    if (bytes.empty() || bytes.size() > kMaxPieceSize)
        return fail(Code::invalid, Source::us,
                    fmt::format("a piece of {} bytes; 1 to 2 MiB are allowed", bytes.size()));
    const ChunkId id = impl_->chunk_mac.of(bytes);
    bool is_new = false;
    REGROW_TRY(const auto place,
               impl_->put(impl_->open_content, PackKind::content, id, bytes, true, is_new));
    impl_->stats.bytes += bytes.size();
    impl_->stats.new_bytes += is_new ? bytes.size() : 0;
    impl_->stats.new_pieces += is_new ? 1 : 0;
    return Piece{file_offset, static_cast<uint32_t>(bytes.size()),
                 id,          place.pack,
                 place.frame, place.frame_offset};
}

Result<bool> Writer::stillStored(const std::vector<Piece>& pieces) {
    for (const Piece& p : pieces) {
        REGROW_TRY(const bool there, impl_->usablePack(p.pack));
        if (!there) return false;
    }
    return true;
}

Result<Published> Writer::publish(SnapshotDraft draft, std::vector<Entry> entries) {
    Impl& w = *impl_;
    if (w.finished) return fail(Code::internal, Source::us, "a writer publishes once");
    w.finished = true;
    if (!validSnapshotName(draft.name))
        return fail(Code::invalid, Source::us, "'" + draft.name + "' is not a snapshot's name");
    SnapshotHeader header = headerOf(draft);
    count(entries, header);
    REGROW_CHECK(w.finishPack(w.open_content));
    REGROW_CHECK(w.settle(w.storer.ended(true)));
    REGROW_CHECK(w.noteReferences(entries));
    REGROW_TRY(const TreeRoot root,
               w.storeTree(std::move(entries), draft.type == SnapshotType::incremental));
    REGROW_CHECK(w.finishPack(w.open_tree));
    REGROW_CHECK(w.settle(w.storer.ended(true)));
    header.tree_id = w.node_mac.of(root.identity);
    if (draft.skip_unchanged && draft.parent && draft.parent->header.tree_id == header.tree_id)
        return Published{*draft.parent, true};
    header.new_bytes = w.stats.new_bytes;
    header.stored_bytes = w.stats.stored_bytes;
    header.finished_at = Wall::now();
    REGROW_CHECK(w.checkStanding());
    REGROW_TRY(Snapshot snapshot, w.store.snapshots.publish(std::move(header), root.bytes));
    auto standing = w.checkStanding();
    if (!standing) {
        REGROW_CHECK(w.store.snapshots.withdraw(snapshot));
        return std::unexpected(std::move(standing).error());
    }
    w.published = snapshot;
    return Published{std::move(snapshot), false};
}

Result<Proof> Writer::prove() {
    Impl& w = *impl_;
    if (!w.published)
        return fail(Code::internal, Source::us, "nothing was published, so nothing can be proved");
    Proof proof;
    std::string failures;
    std::vector<PackId> proved;
    REGROW_CHECK(w.loadIndex());
    for (const auto& [id, contents] : w.index->unproven()) {
        if (!w.referenced.contains(w.store.packs.numberOf(contents.info))) continue;
        auto read = w.proveOne(contents, proof);
        if (read) {
            proved.push_back(id);
            continue;
        }
        if (read.error().code != Code::corrupt && read.error().code != Code::not_found)
            return std::unexpected(std::move(read).error());
        REGROW_CHECK(markBad(*w.store.repository, w.store.keys, id, read.error().message));
        failures += (failures.empty() ? "" : "; ") + read.error().message;
    }
    REGROW_CHECK(w.index->proved(proved));
    if (!failures.empty())
        return fail(
            Code::corrupt, Source::repository,
            fmt::format("snapshot {} is not proven: {}; the next backup stores these pieces again",
                        w.published->shortId(), failures));
    proof.at = Wall::now();
    REGROW_CHECK(w.store.snapshots.storeProof(*w.published, proof));
    w.published->proven = true;
    return proof;
}

}  // namespace regrow::backup
