#include "backup/store.h"

#include <fmt/core.h>

#include <algorithm>
#include <mutex>

#include "backup/bytes.h"
#include "backup/index.h"
#include "backup/local_repository.h"
#include "backup/store_impl.h"
#include "base/random.h"
#include "base/text.h"

namespace regrow::backup {
namespace {

constexpr std::string_view kConfig = "config";
constexpr std::string_view kConfigMagic = "RGRWREPO";
constexpr uint8_t kVersion = 1;
constexpr size_t kChecksumSize = 8;
constexpr size_t kMaxSlot = 4096;
constexpr size_t kMaxKeyring = 1 << 20;

std::string encodeConfig(const RepositoryId& id) {
    ByteWriter w;
    w.raw(kConfigMagic);
    w.u8(kVersion);
    w.raw(std::string_view("\0\0\0", 3));
    w.raw({reinterpret_cast<const char*>(id.data()), id.size()});
    w.raw(bytesOf(sha256(w.view())).substr(0, kChecksumSize));
    return w.take();
}

Result<RepositoryId> decodeConfig(std::string_view bytes, const std::string& where) {
    const auto corrupt = [&](std::string_view why) {
        return fail(Code::corrupt, Source::repository,
                    fmt::format("repository {}: its file 'config' {}", where, why));
    };
    RepositoryId id{};
    const size_t size = kConfigMagic.size() + 4 + id.size();
    if (!bytes.starts_with(kConfigMagic)) return corrupt("is not a Regrow repository's");
    if (bytes.size() > kConfigMagic.size() && bytes[kConfigMagic.size()] != kVersion)
        return corrupt("is of a version this regrow does not know");
    if (bytes.size() != size + kChecksumSize ||
        bytes.substr(size) != bytesOf(sha256(bytes.substr(0, size))).substr(0, kChecksumSize))
        return corrupt("is damaged; copy it from a replica");
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(size - id.size()), id.size(), id.begin());
    return id;
}

Result<std::string> openSlots(Repository& repository, const RepositoryId& id,
                              const OperatorKey& key) {
    REGROW_TRY(const auto slots, repository.list("keys"));
    size_t damaged = 0;
    for (const ObjectInfo& slot : slots) {
        REGROW_TRY(const std::string bytes, repository.getAll(slot.name, kMaxSlot));
        auto ring_key = unwrapRingKey(key, id, bytes);
        if (ring_key) return ring_key;
        if (ring_key.error().code != Code::permission && ring_key.error().code != Code::corrupt)
            return std::unexpected(std::move(ring_key).error());
        damaged += ring_key.error().code == Code::corrupt ? 1 : 0;
    }
    if (damaged > 0)
        return fail(Code::corrupt, Source::repository,
                    fmt::format("repository {}: {} of {} key slots are damaged and the others do "
                                "not open with {}; copy keys/ from a "
                                "replica",
                                repository.where(), damaged, slots.size(), key.origin()));
    if (slots.empty())
        return fail(
            Code::corrupt, Source::repository,
            fmt::format("repository {} has no key slots (folder keys/); copy them from a replica",
                        repository.where()));
    return fail(Code::permission, Source::config,
                fmt::format("{} does not open repository {}: it is the key of another repository, "
                            "a wrong passphrase, or its slot "
                            "was damaged",
                            key.origin(), repository.where()));
}

Result<Keyring> openNewestRing(Repository& repository, const RepositoryId& id,
                               std::string_view ring_key) {
    REGROW_TRY(const auto rings, repository.list("keyring"));
    if (rings.empty())
        return fail(
            Code::corrupt, Source::repository,
            fmt::format("repository {} has no keyring; copy the folder keyring/ from a replica",
                        repository.where()));
    const std::string& name = rings.back().name;
    REGROW_TRY(const std::string bytes, repository.getAll(name, kMaxKeyring));
    uint64_t generation = 0;
    for (const char c : std::string_view(name).substr(name.rfind('/') + 1))
        generation = generation * 16 + static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    auto ring = openKeyring(id, ring_key, generation, bytes);
    if (!ring)
        return std::unexpected(
            std::move(ring).error().in("repository " + repository.where() + ", " + name));
    return ring;
}

}  // namespace

Result<> Store::initialise(const std::string& path, const std::string& key_file) {
    REGROW_TRY(const OperatorKey key, OperatorKey::load(key_file));
    REGROW_TRY(const auto repository, LocalRepository::initialise(path));
    return initialise(*repository, key);
}

Result<> Store::initialise(Repository& repository, const OperatorKey& key, ScryptCost cost,
                           ChunkerLimits limits) {
    const auto taken = [&] {
        return fail(Code::exists, Source::repository,
                    repository.where() + " is a repository already; it is left as it is");
    };
    REGROW_TRY(const auto existing, repository.stat(kConfig));
    if (existing) return taken();
    RepositoryId id{};
    const std::string random = secureRandomBytes(id.size());
    std::copy(random.begin(), random.end(), id.begin());
    const Keyring ring = Keyring::create(id, limits);
    const std::string ring_key = secureRandomBytes(32);
    REGROW_CHECK(repository.create("keys/" + toHex(secureRandomBytes(8)),
                                   wrapRingKey(key, id, ring_key, cost)));
    REGROW_TRY(const bool first, repository.create(fmt::format("keyring/{:016x}", 1),
                                                   sealKeyring(ring, ring_key, 1)));
    if (!first)
        return fail(
            Code::exists, Source::repository,
            repository.where() +
                " holds a repository that was begun and not finished; remove it and try again");
    // Last: without it nothing here is a repository.
    REGROW_TRY(const bool created, repository.create(kConfig, encodeConfig(id)));
    return created ? Result<>() : taken();
}

Result<std::unique_ptr<Store>> Store::open(const std::string& path, const std::string& key_file) {
    REGROW_TRY(const OperatorKey key, OperatorKey::load(key_file));
    REGROW_TRY(auto repository, LocalRepository::open(path));
    return open(std::move(repository), key);
}

Result<std::unique_ptr<Store>> Store::open(std::unique_ptr<Repository> repository,
                                           const OperatorKey& key) {
    auto config = repository->getAll(kConfig, 4096);
    if (!config && config.error().code == Code::not_found)
        return fail(Code::not_found, Source::repository,
                    fmt::format("{} holds no repository; if there should be one, it was lost or is "
                                "not mounted; make a new one with: "
                                "regrow repo init",
                                repository->where()));
    if (!config)
        return std::unexpected(std::move(config).error().in("repository " + repository->where()));
    REGROW_TRY(const RepositoryId id, decodeConfig(*config, repository->where()));
    REGROW_TRY(const std::string ring_key, openSlots(*repository, id, key));
    REGROW_TRY(Keyring ring, openNewestRing(*repository, id, ring_key));
    return std::unique_ptr<Store>(
        new Store(std::make_unique<Impl>(std::move(repository), std::move(ring))));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Repository& Store::repository() {
    return *impl_->repository;
}
const Keyring& Store::keys() const {
    return impl_->keys;
}
PackTable& Store::packs() {
    return impl_->packs;
}
SnapshotStore& Store::snapshots() {
    return impl_->snapshots;
}
const FrameReader& Store::frames() const {
    return impl_->frames;
}
const Chunker& Store::chunker() const {
    return impl_->chunker;
}

Result<std::vector<Entry>> Store::tree(const Snapshot& snapshot) {
    std::vector<Entry> entries;
    REGROW_CHECK(forEachEntry(snapshot, [&](Entry e) -> Result<> {
        entries.push_back(std::move(e));
        return {};
    }));
    return entries;
}

Result<> Store::forEachEntry(const Snapshot& snapshot,
                             const std::function<Result<>(Entry)>& on_entry,
                             const OnLost& on_lost) {
    std::set<uint32_t> node_packs;
    return walk(snapshot, on_entry, on_lost, node_packs);
}

Result<std::set<uint32_t>> Store::packsOf(const Snapshot& snapshot) {
    std::set<uint32_t> content_packs;
    std::set<uint32_t> packs;
    const auto on_entry = [&](const Entry& e) -> Result<> {
        for (const Piece& p : e.pieces) content_packs.insert(p.pack);
        return {};
    };
    const auto on_lost = [](const std::string&, const std::string&, const Error&) {
        return Result<>();
    };
    REGROW_CHECK(walk(snapshot, on_entry, on_lost, packs));
    packs.merge(content_packs);
    return packs;
}

Result<> Store::walk(const Snapshot& snapshot, const std::function<Result<>(Entry)>& on_entry,
                     const OnLost& on_lost, std::set<uint32_t>& node_packs) {
    auto root = impl_->snapshots.rootOf(snapshot);
    if (!root) return std::unexpected(std::move(root).error().in("snapshot " + snapshot.shortId()));
    const Mac mac = impl_->keys.nodeMac();
    const FetchNode fetch = [&](const NodeRef& ref) -> Result<std::string> {
        node_packs.insert(ref.pack);
        auto bytes = impl_->frames.bytesAt(ref.pack, ref.frame, ref.frame_offset, ref.length);
        if (bytes && mac.of(*bytes) == ref.id) return bytes;
        auto elsewhere = impl_->bytesElsewhere(mac, ref.id, ref.length);
        if (elsewhere) return elsewhere;
        return bytes ? fail(Code::corrupt, Source::repository,
                            "a tree node's bytes are not those of its id")
                     : bytes;
    };
    auto read = readTree(*root, impl_->packs, fetch, on_entry, on_lost);
    if (!read) return std::unexpected(std::move(read).error().in("snapshot " + snapshot.shortId()));
    return {};
}

Result<std::string> Store::findPiece(const Piece& piece) {
    auto bytes = impl_->frames.piece(piece);
    if (bytes) return bytes;
    auto elsewhere = impl_->bytesElsewhere(impl_->keys.chunkMac(), piece.id, piece.length);
    return elsewhere ? std::move(elsewhere) : std::move(bytes);
}

// The detour for damage: no restore of a sound snapshot comes here.
Result<std::string> Store::Impl::bytesElsewhere(const Mac& mac, const ChunkId& id,
                                                uint32_t length) {
    const std::scoped_lock lock(detour_mutex);
    if (!detour_index) {
        REGROW_TRY(ChunkIndex loaded, ChunkIndex::load(*repository, keys, packs));
        detour_index = std::make_unique<ChunkIndex>(std::move(loaded));
    }
    for (const ChunkIndex::Place& place : detour_index->findAll(id, length)) {
        auto bytes = frames.bytesAt(place.pack, place.frame, place.frame_offset, length);
        if (bytes && mac.of(*bytes) == id) return bytes;
    }
    return fail(Code::not_found, Source::repository, "no sound copy in the repository");
}

}  // namespace regrow::backup
