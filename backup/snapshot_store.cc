#include "backup/snapshot_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "backup/bytes.h"
#include "backup/sealed_object.h"
#include "base/random.h"
#include "base/text.h"

namespace regrow::backup {
namespace {

constexpr std::string_view kMagic = "RGRWSNAP";
constexpr uint8_t kVersion = 1;
constexpr size_t kPrefixSize = 20;
constexpr uint64_t kFirstRead = 4096;  // holds the header of a snapshot without problems
constexpr uint32_t kMaxHeaderSize = 256 << 10;
constexpr uint32_t kMaxRootSize = 4 << 20;
constexpr int kPublishAttempts = 32;
constexpr size_t kShortestPrefix = 4;
constexpr std::string_view kSnapshots = "snapshots/";
constexpr std::string_view kProofs = "proofs/";

std::unexpected<Error> corrupt(std::string_view object, std::string_view why) {
    return fail(Code::corrupt, Source::repository,
                "snapshot object " + std::string(object) + ": " + std::string(why));
}

std::string objectName(std::string_view folder, uint64_t number) {
    return fmt::format("{}/{:016x}", folder, number);
}
std::string treeName(std::string_view object) {
    return std::string(object) + "/tree";
}
std::string_view lastSegment(std::string_view name) {
    return name.substr(name.rfind('/') + 1);
}

std::optional<uint64_t> numberOf(std::string_view object) {
    const std::string_view text = lastSegment(object);
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
    if (text.size() != 16 || error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

struct Prefix {
    uint32_t header_size = 0;
    uint32_t root_size = 0;
};

Result<Prefix> decodePrefix(std::string_view bytes, const ObjectInfo& object) {
    ByteReader r(bytes);
    if (r.raw(kMagic.size()) != kMagic) return corrupt(object.name, "not a snapshot");
    if (r.u8() != kVersion) return corrupt(object.name, "written by a newer regrow, or damaged");
    const bool zeros = r.raw(3) == std::string_view("\0\0\0", 3);
    const Prefix p{r.u32(), r.u32()};
    if (r.failed() || !zeros || p.header_size > kMaxHeaderSize || p.root_size > kMaxRootSize ||
        kPrefixSize + uint64_t{p.header_size} + p.root_size != object.size)
        return corrupt(object.name, "cut short or damaged");
    return p;
}

std::string encodeProof(const Snapshot& s, const Proof& p) {
    ByteWriter w;
    w.u8(kVersion);
    w.raw(bytesOf(s.id));
    w.signedVarint(
        std::chrono::duration_cast<std::chrono::nanoseconds>(p.at.time_since_epoch()).count());
    w.varint(p.packs);
    w.varint(p.frames);
    w.varint(p.bytes);
    return w.take();
}

WallTime wallTime(int64_t ns) {
    return WallTime(std::chrono::duration_cast<Wall::duration>(std::chrono::nanoseconds(ns)));
}

std::optional<Proof> decodeProof(std::string_view bytes, const SnapshotId& snapshot) {
    ByteReader r(bytes);
    const bool known = r.u8() == kVersion && r.raw(snapshot.size()) == bytesOf(snapshot);
    Proof p;
    p.at = wallTime(r.signedVarint());
    p.packs = r.varint();
    p.frames = r.varint();
    p.bytes = r.varint();
    return known && r.atEnd() ? std::optional(p) : std::nullopt;
}

// A time someone copied from a list is shorter than the instant it stands for; it means that one
// too.
WallTime asWritten(WallTime instant, std::string_view text) {
    const size_t dot = text.find('.');
    if (dot == std::string_view::npos) return std::chrono::floor<std::chrono::seconds>(instant);
    const size_t digits =
        std::min(text.find_first_not_of("0123456789", dot + 1), text.size()) - dot - 1;
    return digits <= 3 ? WallTime(std::chrono::floor<std::chrono::milliseconds>(instant)) : instant;
}

bool looksLikeId(std::string_view text) {
    return text.size() >= kShortestPrefix && text.size() <= 64 &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string choices(const std::vector<Snapshot>& snapshots) {
    std::string text;
    for (const Snapshot& s : snapshots) text += (text.empty() ? "" : ", ") + s.shortId();
    return text;
}

}  // namespace

std::string Snapshot::shortId() const {
    return hexOf(id).substr(0, 12);
}

SnapshotStore::SnapshotStore(Repository& repository, const Keyring& keys)
    : repository_(repository), keys_(keys) {}

Result<Snapshot> SnapshotStore::publish(SnapshotHeader header, std::string_view root) {
    if (!validSnapshotName(header.name))
        return fail(Code::invalid, Source::us, "'" + header.name + "' is not a snapshot's name");
    const std::string folder = std::string(kSnapshots) + keys_.folderOf(header.name);
    for (int attempt = 0; attempt < kPublishAttempts; ++attempt) {
        REGROW_TRY(const auto objects, repository_.list(folder));
        REGROW_TRY(const auto newest, newestReadable(objects));
        if (newest && header.epoch < newest->header.epoch)
            return fail(
                Code::refused, Source::repository,
                fmt::format(
                    "epoch {} of {} is over: snapshot {} is of epoch {}; this server was replaced",
                    header.epoch, header.name, newest->shortId(), newest->header.epoch));
        const auto last =
            objects.empty() ? std::optional<uint64_t>(0) : numberOf(objects.back().name);
        if (!last)
            return corrupt(objects.back().name,
                           "its name is not a number; something else wrote here");
        header.number = *last + 1;
        const std::string name = objectName(folder, header.number);
        const std::string sealed_root =
            sealObject(keys_, ObjectType::snapshot_tree, treeName(name), root);
        header.tree_hash = sha256(sealed_root);
        const std::string sealed_header =
            sealObject(keys_, ObjectType::snapshot, name, encodeHeader(header));
        ByteWriter w;
        w.raw(kMagic);
        w.u8(kVersion);
        w.raw(std::string_view("\0\0\0", 3));
        w.u32(static_cast<uint32_t>(sealed_header.size()));
        w.u32(static_cast<uint32_t>(sealed_root.size()));
        w.raw(sealed_header);
        w.raw(sealed_root);
        REGROW_TRY(const bool created, repository_.create(name, w.view()));
        if (created) return Snapshot{sha256(sealed_header), std::move(header), Wall::now(), false};
    }
    return fail(Code::unavailable, Source::repository,
                "too many others publish snapshots of " + header.name + " at once; try again");
}

Result<> SnapshotStore::withdraw(const Snapshot& snapshot) {
    return repository_.remove(objectName(
        std::string(kSnapshots) + keys_.folderOf(snapshot.header.name), snapshot.header.number));
}

Result<Snapshot> SnapshotStore::read(const ObjectInfo& object) {
    REGROW_TRY(std::string bytes,
               repository_.get(object.name, 0, std::min(object.size, kFirstRead)));
    REGROW_TRY(const Prefix prefix, decodePrefix(bytes, object));
    const uint64_t end = kPrefixSize + prefix.header_size;
    if (end > bytes.size()) {
        REGROW_TRY(const std::string rest,
                   repository_.get(object.name, bytes.size(), end - bytes.size()));
        bytes += rest;
    }
    const auto sealed = std::string_view(bytes).substr(kPrefixSize, prefix.header_size);
    REGROW_TRY(const std::string plain,
               openObject(keys_, ObjectType::snapshot, object.name, sealed));
    auto header = decodeHeader(plain);
    if (!header) return corrupt(object.name, header.error().message);
    // The seal binds the object's name already; this catches a bug of ours.
    if (object.name !=
        objectName(std::string(kSnapshots) + keys_.folderOf(header->name), header->number))
        return corrupt(object.name, "it is of another name or number");
    Snapshot snapshot{sha256(sealed), *std::move(header), object.stored_at, false};
    const auto proof = proofOf(snapshot);
    snapshot.proven = proof && proof->has_value();
    return snapshot;
}

Result<std::string> SnapshotStore::rootOf(const Snapshot& snapshot) {
    const std::string name = objectName(
        std::string(kSnapshots) + keys_.folderOf(snapshot.header.name), snapshot.header.number);
    REGROW_TRY(const std::string bytes,
               repository_.getAll(name, kPrefixSize + uint64_t{kMaxHeaderSize} + kMaxRootSize));
    REGROW_TRY(const Prefix prefix, decodePrefix(bytes, {name, bytes.size(), {}}));
    const auto sealed = std::string_view(bytes).substr(kPrefixSize + prefix.header_size);
    if (sha256(sealed) != snapshot.header.tree_hash) return corrupt(name, "its tree is damaged");
    return openObject(keys_, ObjectType::snapshot_tree, treeName(name), sealed, kMaxRootSize);
}

Result<SnapshotList> SnapshotStore::readObjects(const std::vector<ObjectInfo>& objects) {
    SnapshotList list;
    for (const ObjectInfo& o : objects) {
        auto snapshot = read(o);
        if (snapshot)
            list.snapshots.push_back(*std::move(snapshot));
        else if (snapshot.error().code == Code::corrupt)
            list.damaged.push_back({o.name, std::move(snapshot).error()});
        else if (snapshot.error().code != Code::not_found)  // a prune may take one meanwhile
            return std::unexpected(std::move(snapshot).error());
    }
    return list;
}

Result<SnapshotList> SnapshotStore::list(std::string_view name) {
    REGROW_TRY(const auto objects,
               repository_.list(std::string(kSnapshots) + keys_.folderOf(name)));
    return readObjects(objects);
}

Result<SnapshotList> SnapshotStore::listAll() {
    REGROW_TRY(const auto objects, repository_.list(kSnapshots.substr(0, kSnapshots.size() - 1)));
    REGROW_TRY(SnapshotList list, readObjects(objects));
    std::sort(list.snapshots.begin(), list.snapshots.end(),
              [](const Snapshot& a, const Snapshot& b) {
                  return std::tie(a.header.name, a.header.number) <
                         std::tie(b.header.name, b.header.number);
              });
    return list;
}

Result<std::optional<Snapshot>> SnapshotStore::newestReadable(
    const std::vector<ObjectInfo>& objects) {
    for (auto o = objects.rbegin(); o != objects.rend(); ++o) {
        auto snapshot = read(*o);
        if (snapshot) return std::optional(*std::move(snapshot));
        if (snapshot.error().code != Code::corrupt && snapshot.error().code != Code::not_found)
            return std::unexpected(std::move(snapshot).error());
    }
    return std::optional<Snapshot>();
}

Result<std::optional<Snapshot>> SnapshotStore::latest(std::string_view name) {
    REGROW_TRY(const auto objects,
               repository_.list(std::string(kSnapshots) + keys_.folderOf(name)));
    return newestReadable(objects);
}

Result<Snapshot> SnapshotStore::find(std::string_view name, std::string_view what) {
    const auto none = [&](std::string_view why) {
        return fail(Code::not_found, Source::repository,
                    fmt::format("no snapshot of {} {} in {}", name, why, repository_.where()));
    };
    if (what == "latest") {
        REGROW_TRY(const auto newest, latest(name));
        return newest ? Result<Snapshot>(*newest) : none("");
    }
    REGROW_TRY(const SnapshotList all, list(name));
    std::vector<Snapshot> found;
    if (looksLikeId(what)) {
        for (const Snapshot& s : all.snapshots)
            if (hexOf(s.id).starts_with(what)) found.push_back(s);
        if (found.size() > 1)
            return fail(
                Code::invalid, Source::config,
                fmt::format("'{}' is the start of {}; write more of it", what, choices(found)));
        return found.empty()
                   ? Result<Snapshot>(none(fmt::format("has an id beginning with '{}'", what)))
                   : found.front();
    }
    const auto time = parseTime(what);
    if (!time)
        return fail(Code::invalid, Source::config,
                    fmt::format("'{}' is neither 'latest', nor a snapshot's id (4 hex digits and "
                                "up), nor a time like "
                                "2026-11-22T20:03:33Z",
                                what));
    const Snapshot* best = nullptr;
    for (const Snapshot& s : all.snapshots)
        if (asWritten(s.header.captured_at, what) <= *time &&
            (!best || s.header.captured_at >= best->header.captured_at))
            best = &s;
    return best ? Result<Snapshot>(*best)
                : none("is that old: none was captured at or before " + formatTime(*time));
}

Result<> SnapshotStore::checkNotRolledBack(std::string_view name, const SeenSnapshot& seen) {
    REGROW_TRY(const SnapshotList all, list(name));
    const auto refused = [&](std::string_view why) {
        return fail(
            Code::refused, Source::repository,
            fmt::format("repository {} was set back: {} had snapshot {} (number {}), {}; somebody "
                        "restored an old copy of "
                        "it or deleted from it",
                        repository_.where(), name, hexOf(seen.id).substr(0, 12), seen.number, why));
    };
    uint64_t newest = 0;
    for (const DamagedSnapshot& d : all.damaged)
        newest = std::max(newest, numberOf(d.object).value_or(0));
    for (const Snapshot& s : all.snapshots) {
        newest = std::max(newest, s.header.number);
        if (s.header.number == seen.number && s.id != seen.id)
            return refused("and another now has that number");
    }
    if (newest < seen.number)
        return refused(newest == 0 ? "and has none now"
                                   : fmt::format("and the newest now is number {}", newest));
    return {};
}

Result<> SnapshotStore::storeProof(const Snapshot& snapshot, const Proof& proof) {
    const std::string name = objectName(std::string(kProofs) + keys_.folderOf(snapshot.header.name),
                                        snapshot.header.number);
    auto created = repository_.create(
        name, sealObject(keys_, ObjectType::proof, name, encodeProof(snapshot, proof)));
    if (!created) return std::unexpected(std::move(created).error());
    return {};
}

Result<std::optional<Proof>> SnapshotStore::proofOf(const Snapshot& snapshot) {
    const std::string name = objectName(std::string(kProofs) + keys_.folderOf(snapshot.header.name),
                                        snapshot.header.number);
    const auto sealed = repository_.getAll(name, 4096);
    if (!sealed && sealed.error().code != Code::not_found && sealed.error().code != Code::corrupt)
        return std::unexpected(sealed.error());
    if (!sealed) return std::optional<Proof>();
    const auto plain = openObject(keys_, ObjectType::proof, name, *sealed);
    return plain ? decodeProof(*plain, snapshot.id)
                 : std::nullopt;  // a damaged proof proves nothing
}

Result<Pin> SnapshotStore::pin(const Snapshot& snapshot, std::string_view owner, WallTime expires) {
    Pin pin{"pins/" + toHex(secureRandomBytes(16)), std::string(owner.substr(0, 255)), snapshot.id,
            expires};
    ByteWriter w;
    w.u8(kVersion);
    w.raw(bytesOf(pin.snapshot));
    w.signedVarint(
        std::chrono::duration_cast<std::chrono::nanoseconds>(expires.time_since_epoch()).count());
    w.bytes(pin.owner);
    REGROW_CHECK(
        repository_.create(pin.object, sealObject(keys_, ObjectType::pin, pin.object, w.view())));
    return pin;
}

Result<> SnapshotStore::unpin(const Pin& pin) {
    return repository_.remove(pin.object);
}

Result<std::vector<Pin>> SnapshotStore::pins() {
    REGROW_TRY(const auto objects, repository_.list("pins"));
    std::vector<Pin> pins;
    for (const ObjectInfo& o : objects) {
        const auto sealed = repository_.getAll(o.name, 4096);
        if (!sealed && sealed.error().code == Code::not_found) continue;
        if (!sealed) return std::unexpected(sealed.error());
        REGROW_TRY(const std::string plain, openObject(keys_, ObjectType::pin, o.name, *sealed));
        ByteReader r(plain);
        const uint8_t version = r.u8();
        const std::string_view id = r.raw(sizeof(SnapshotId));
        if (r.failed() || version != kVersion) return corrupt(o.name, "not a pin");
        const WallTime expires = wallTime(r.signedVarint());
        pins.push_back({o.name, std::string(r.bytes(255)), digestFrom(id), expires});
        if (!r.atEnd()) return corrupt(o.name, "not a pin");
    }
    return pins;
}

}  // namespace regrow::backup
