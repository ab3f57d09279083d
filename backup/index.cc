#include "backup/index.h"

#include <algorithm>
#include <cstring>

#include "backup/bytes.h"
#include "backup/sealed_object.h"
#include "base/random.h"
#include "base/text.h"

namespace regrow::backup {
namespace {

constexpr size_t kMaxRunSize = size_t{1} << 30;
constexpr size_t kManyRuns = 16;
constexpr uint64_t kSmallRun = uint64_t{4} << 20;

std::string newRunName() {
    return "index/" + toHex(secureRandomBytes(16));
}

}  // namespace

size_t ChunkIndex::HashId::operator()(const ChunkId& id) const {
    size_t h = 0;
    std::memcpy(&h, id.data(), sizeof h);  // a keyed hash already
    return h;
}

Result<ChunkIndex> ChunkIndex::load(Repository& repository, const Keyring& keys, PackTable& packs) {
    ChunkIndex index(repository, keys, packs);
    REGROW_TRY(const auto usable, index.usablePacks());
    std::set<PackId> covered;
    REGROW_CHECK(index.loadRuns(usable, covered));
    for (const auto& [id, size] : usable)
        if (!covered.contains(id)) index.readTable(id, size);
    return index;
}

Result<std::map<PackId, uint64_t>> ChunkIndex::usablePacks() {
    REGROW_TRY(const auto objects, repository_->list("packs"));
    REGROW_TRY(const auto bad, markedPacks(*repository_, "bad"));
    REGROW_TRY(const auto condemned, markedPacks(*repository_, "condemned"));
    std::map<PackId, uint64_t> usable;
    for (const ObjectInfo& o : objects) {
        const auto id = packIdOf(o.name);
        if (id && !bad.contains(*id) && !condemned.contains(*id)) usable.emplace(*id, o.size);
    }
    return usable;
}

Result<> ChunkIndex::loadRuns(const std::map<PackId, uint64_t>& usable, std::set<PackId>& covered) {
    REGROW_TRY(const auto objects, repository_->list("index"));
    for (const ObjectInfo& o : objects) {
        auto sealed = repository_->getAll(o.name, kMaxRunSize);
        if (!sealed && sealed.error().code == Code::not_found) continue;  // merged away meanwhile
        auto plain = sealed
                         ? openObject(*keys_, ObjectType::index_run, o.name, *sealed, kMaxRunSize)
                         : std::unexpected(std::move(sealed).error());
        auto run =
            plain ? IndexRun::parse(*std::move(plain)) : std::unexpected(std::move(plain).error());
        if (run)
            useRun({o.name, o.size, *std::move(run), {}}, usable, covered);
        else
            problems_.push_back(run.error().message);
    }
    return {};
}

void ChunkIndex::useRun(LoadedRun run, const std::map<PackId, uint64_t>& usable,
                        std::set<PackId>& covered) {
    for (uint32_t i = 0; i < run.run.packCount(); ++i) {
        const PackInfo info = run.run.pack(i);
        const auto pack = usable.find(info.id);
        const bool use = pack != usable.end() && pack->second == run.run.packSize(i) &&
                         covered.insert(info.id).second;
        run.numbers.push_back(use ? std::optional(packs_->numberOf(info)) : std::nullopt);
        if (use) packs_->addFrames(*run.numbers.back(), run.run.frames(i));
    }
    runs_.push_back(std::move(run));
}

void ChunkIndex::readTable(const PackId& id, uint64_t size) {
    auto contents = readPackContents(*repository_, *keys_, id, size);
    if (!contents) {
        problems_.push_back("pack " + hexOf(id) + ": " + contents.error().message);
        return;
    }
    const uint32_t number = packs_->numberOf(contents->info);
    for (const PackedFrame& f : contents->frames) {
        packs_->addFrame(number, f.span);
        uint32_t offset = 0;
        for (const PackedPiece& p : f.pieces) {
            add(p.id, p.length, {number, f.span.number, offset});
            offset += p.length;
        }
    }
    addUnproven(*std::move(contents));
}

std::vector<ChunkIndex::Place> ChunkIndex::findAll(const ChunkId& id, uint32_t length) const {
    std::vector<Place> places;
    const auto [begin, end] = recent_.equal_range(id);
    for (auto it = begin; it != end; ++it)
        if (it->second.length == length) places.push_back(it->second.place);
    for (const LoadedRun& r : runs_)
        for (const IndexRun::Hit& h : r.run.find(id))
            if (h.length == length && h.pack < r.numbers.size() && r.numbers[h.pack])
                places.push_back({*r.numbers[h.pack], h.frame, h.frame_offset});
    return places;
}

std::optional<ChunkIndex::Place> ChunkIndex::find(const ChunkId& id, uint32_t length) const {
    const auto places = findAll(id, length);
    return places.empty() ? std::nullopt : std::optional(places.front());
}

void ChunkIndex::add(const ChunkId& id, uint32_t length, const Place& place) {
    recent_.emplace(id, Held{length, place});
}

void ChunkIndex::forget(const PackId& id) {
    unproven_.erase(id);
    const auto is = [&](uint32_t number) {
        const auto info = packs_->pack(number);
        return info && info->id == id;
    };
    std::erase_if(recent_, [&](const auto& held) { return is(held.second.place.pack); });
    for (LoadedRun& r : runs_)
        for (auto& number : r.numbers)
            if (number && is(*number)) number.reset();
}

Result<> ChunkIndex::proved(const std::vector<PackId>& ids) {
    std::vector<PackContents> contents;
    for (const PackId& id : ids) {
        const auto it = unproven_.find(id);
        if (it != unproven_.end()) contents.push_back(std::move(it->second));
        if (it != unproven_.end()) unproven_.erase(it);
    }
    if (!contents.empty()) {
        const std::string name = newRunName();
        std::string plain = IndexRun::encode(contents);
        const std::string sealed = sealObject(*keys_, ObjectType::index_run, name, plain);
        REGROW_CHECK(repository_->create(name, sealed));
        // Its pieces are in `recent_` and stay there; the run counts for merging only.
        REGROW_TRY(IndexRun run, IndexRun::parse(std::move(plain)));
        runs_.push_back({name, sealed.size(), std::move(run),
                         std::vector<std::optional<uint32_t>>(contents.size())});
    }
    return mergeSmallRuns();
}

// An incremental every few seconds writes a small run each time; without this, opening would read
// thousands of them.
Result<> ChunkIndex::mergeSmallRuns() {
    std::vector<size_t> small;
    for (size_t i = 0; i < runs_.size(); ++i)
        if (runs_[i].size <= kSmallRun) small.push_back(i);
    if (small.size() < kManyRuns) return {};
    std::vector<const IndexRun*> parts;
    std::set<PackId> keep;
    for (const size_t i : small) {
        parts.push_back(&runs_[i].run);
        for (uint32_t p = 0; p < runs_[i].run.packCount(); ++p)
            keep.insert(runs_[i].run.pack(p).id);
    }
    REGROW_TRY(const auto usable, usablePacks());
    std::erase_if(keep, [&](const PackId& id) { return !usable.contains(id); });
    const std::string name = newRunName();
    std::string plain = IndexRun::merge(parts, keep);
    const std::string sealed = sealObject(*keys_, ObjectType::index_run, name, plain);
    REGROW_CHECK(repository_->create(name, sealed));
    for (const size_t i : small) REGROW_CHECK(repository_->remove(runs_[i].object));
    REGROW_TRY(IndexRun run, IndexRun::parse(std::move(plain)));
    std::vector<std::optional<uint32_t>> numbers;
    numbers.reserve(run.packCount());
    for (uint32_t p = 0; p < run.packCount(); ++p)
        numbers.emplace_back(packs_->numberOf(run.pack(p)));
    for (auto i = small.rbegin(); i != small.rend(); ++i)
        runs_.erase(runs_.begin() + static_cast<ptrdiff_t>(*i));
    runs_.push_back({name, sealed.size(), std::move(run), std::move(numbers)});
    return {};
}

std::string badPackName(const PackId& id) {
    return "bad/" + hexOf(id);
}
std::string condemnedPackName(const PackId& id) {
    return "condemned/" + hexOf(id);
}

Result<> markBad(Repository& repository, const Keyring& keys, const PackId& id,
                 std::string_view finding) {
    ByteWriter w;
    w.u8(1);
    w.bytes(finding.substr(0, 4096));
    const std::string name = badPackName(id);
    auto created = repository.create(name, sealObject(keys, ObjectType::bad_pack, name, w.view()));
    if (!created) return std::unexpected(std::move(created).error());
    return {};
}

Result<std::set<PackId>> markedPacks(Repository& repository, std::string_view folder) {
    REGROW_TRY(const auto objects, repository.list(folder));
    std::set<PackId> ids;
    for (const ObjectInfo& o : objects) {
        const auto id = digestFromHex(std::string_view(o.name).substr(folder.size() + 1));
        if (id) ids.insert(*id);
    }
    return ids;
}

}  // namespace regrow::backup
