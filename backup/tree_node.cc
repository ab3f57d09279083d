#include "backup/tree_node.h"

#include <algorithm>
#include <map>
#include <set>

#include "backup/bytes.h"
#include "backup/pack.h"

namespace regrow::backup {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kEntries = 'E';
constexpr uint8_t kPieces = 'P';
constexpr uint8_t kIndex = 'I';
constexpr size_t kSaltSize = 16;
constexpr size_t kLongestName = 255;
constexpr size_t kLongestXattr = 1 << 20;
constexpr size_t kLongestTarget = 64 << 10;

enum EntryFlag : uint32_t {
    kHasXattrs = 1,
    kHasLinkGroup = 2,
    kChangedWhileRead = 4,
    kAllEntryFlags = 7
};

std::unexpected<Error> corrupt() {
    return fail(Code::corrupt, Source::repository, "a tree node makes no sense");
}
std::unexpected<Error> invalid(const Entry& e, const char* why) {
    return fail(Code::invalid, Source::us, "'" + e.path + "': " + why);
}

// Collects the packs and frames a node names while its body is written; both tables come before the
// body.
class LocationWriter {
  public:
    explicit LocationWriter(const PackTable& packs) : packs_(packs) {}

    Result<> put(ByteWriter& body, uint32_t pack, uint32_t frame, uint32_t frame_offset) {
        const auto [it, added] = frames_.emplace(std::pair(pack, frame), frames_.size());
        if (added) {
            const auto [p, new_pack] = pack_numbers_.emplace(pack, pack_numbers_.size());
            if (new_pack) REGROW_CHECK(addPack(pack));
            REGROW_TRY(const FrameSpan span, packs_.frame(pack, frame));
            frame_table_.varint(p->second);
            frame_table_.varint(span.number);
            frame_table_.varint(span.offset);
            frame_table_.varint(span.stored);
            frame_table_.varint(span.plain);
            frame_table_.u8(span.compressed ? 1 : 0);
        }
        body.varint(it->second);
        body.varint(frame_offset);
        return {};
    }
    Result<> put(ByteWriter& body, const NodeRef& ref) {
        body.raw(bytesOf(ref.id));
        body.varint(ref.length);
        return put(body, ref.pack, ref.frame, ref.frame_offset);
    }
    std::string assemble(uint8_t kind, uint8_t level, const ByteWriter& body) const {
        ByteWriter w;
        w.u8(kind);
        w.u8(kVersion);
        w.u8(level);
        w.varint(pack_numbers_.size());
        w.raw(pack_table_.view());
        w.varint(frames_.size());
        w.raw(frame_table_.view());
        w.raw(body.view());
        return w.take();
    }

  private:
    Result<> addPack(uint32_t number) {
        REGROW_TRY(const PackInfo info, packs_.pack(number));
        pack_table_.raw(bytesOf(info.id));
        pack_table_.u32(info.key_id);
        pack_table_.raw(info.salt);
        return {};
    }
    const PackTable& packs_;
    std::map<uint32_t, size_t> pack_numbers_;
    std::map<std::pair<uint32_t, uint32_t>, size_t> frames_;
    ByteWriter pack_table_;
    ByteWriter frame_table_;
};

// The tables as read, kept apart from the PackTable until the whole node has proved sound.
class LocationReader {
  public:
    bool read(ByteReader& r) {
        const uint64_t packs = r.count(sizeof(PackId) + 4 + kSaltSize);
        for (uint64_t i = 0; i < packs && !r.failed(); ++i) {
            PackInfo info;
            const std::string_view id = r.raw(sizeof(PackId));
            if (!r.failed()) info.id = digestFrom(id);
            info.key_id = r.u32();
            info.salt = r.raw(kSaltSize);
            packs_.push_back(std::move(info));
        }
        const uint64_t frames = r.count(6);
        for (uint64_t i = 0; i < frames && !r.failed(); ++i) {
            const uint64_t pack = r.varint();
            FrameSpan span;
            span.number = r.varint32();
            span.offset = r.varint();
            span.stored = r.varint32();
            span.plain = r.varint32();
            const uint8_t compressed = r.u8();
            span.compressed = compressed == 1;
            if (pack >= packs_.size() || compressed > 1 || span.offset < kPackHeaderSize ||
                span.offset > kMaxPackSize || span.stored < kSealOverhead ||
                span.stored > kMaxFrameStored || span.plain > kMaxPieceSize)
                return false;
            frames_.push_back({static_cast<size_t>(pack), span});
        }
        return !r.failed() && eachOnce();
    }
    // The place holds an index into frames_ until resolve().
    bool place(ByteReader& r, uint32_t length, uint32_t& frame, uint32_t& frame_offset) const {
        const uint64_t index = r.varint();
        frame_offset = r.varint32();
        if (r.failed() || index >= frames_.size()) return false;
        frame = static_cast<uint32_t>(index);
        return uint64_t{frame_offset} + length <= frames_[frame].second.plain;
    }
    bool ref(ByteReader& r, NodeRef& ref) const {
        const std::string_view id = r.raw(sizeof(ChunkId));
        if (r.failed()) return false;
        ref.id = digestFrom(id);
        ref.length = r.varint32();
        return ref.length > 0 && ref.length <= kMaxPieceSize &&
               place(r, ref.length, ref.frame, ref.frame_offset);
    }
    void publish(PackTable& table) {
        std::vector<uint32_t> numbers;
        numbers.reserve(packs_.size());
        for (const PackInfo& info : packs_) numbers.push_back(table.numberOf(info));
        for (const auto& [pack, span] : frames_) {
            table.addFrame(numbers[pack], span);
            resolved_.emplace_back(numbers[pack], span.number);
        }
    }
    void resolve(uint32_t& pack, uint32_t& frame) const {
        std::tie(pack, frame) = resolved_[frame];
    }

  private:
    // The writer names a pack and a frame once. Twice could say two things of one place, of which
    // the PackTable would keep the last.
    bool eachOnce() const {
        std::set<PackId> packs;
        std::set<std::pair<size_t, uint32_t>> frames;
        return std::ranges::all_of(packs_, [&](auto& p) { return packs.insert(p.id).second; }) &&
               std::ranges::all_of(frames_, [&](auto& f) {
                   return frames.emplace(f.first, f.second.number).second;
               });
    }

    std::vector<PackInfo> packs_;
    std::vector<std::pair<size_t, FrameSpan>> frames_;
    std::vector<std::pair<uint32_t, uint32_t>> resolved_;
};

Result<> putPieces(ByteWriter& body, LocationWriter& locations, const std::vector<Piece>& pieces) {
    body.varint(pieces.size());
    uint64_t end = 0;
    for (const Piece& p : pieces) {
        body.varint(p.file_offset - end);
        body.varint(p.length);
        body.raw(bytesOf(p.id));
        REGROW_CHECK(locations.put(body, p.pack, p.frame, p.frame_offset));
        end = p.file_offset + p.length;
    }
    return {};
}

bool readPieces(ByteReader& r, const LocationReader& locations, std::vector<Piece>& pieces) {
    const uint64_t count = r.count(4 + sizeof(ChunkId));
    uint64_t end = 0;
    for (uint64_t i = 0; i < count && !r.failed(); ++i) {
        Piece p;
        const uint64_t gap = r.varint();
        if (gap > static_cast<uint64_t>(INT64_MAX) - end) return false;
        p.file_offset = end + gap;
        p.length = r.varint32();
        const std::string_view id = r.raw(sizeof(ChunkId));
        if (r.failed() || p.length == 0 || p.length > kMaxPieceSize) return false;
        p.id = digestFrom(id);
        if (!locations.place(r, p.length, p.frame, p.frame_offset)) return false;
        end = p.file_offset + p.length;
        if (end > static_cast<uint64_t>(INT64_MAX)) return false;
        pieces.push_back(p);
    }
    return !r.failed();
}

Result<> putRefs(ByteWriter& body, LocationWriter& locations, const std::vector<NodeRef>& refs) {
    body.varint(refs.size());
    for (const NodeRef& ref : refs) REGROW_CHECK(locations.put(body, ref));
    return {};
}

bool readRefs(ByteReader& r, const LocationReader& locations, std::vector<NodeRef>& refs) {
    const uint64_t count = r.count(3 + sizeof(ChunkId));
    for (uint64_t i = 0; i < count && !r.failed(); ++i)
        if (!locations.ref(r, refs.emplace_back())) return false;
    return !r.failed();
}

void putTime(ByteWriter& w, const TimeStamp& t) {
    w.signedVarint(t.seconds);
    w.varint(t.nanoseconds);
}
TimeStamp readTime(ByteReader& r) {
    TimeStamp t;
    t.seconds = r.signedVarint();
    t.nanoseconds = r.varint32();
    return t;
}

void putPath(ByteWriter& w, std::string_view path, std::string_view previous) {
    const auto [a, b] = std::mismatch(path.begin(), path.end(), previous.begin(), previous.end());
    const auto shared = static_cast<size_t>(a - path.begin());
    w.varint(shared);
    w.bytes(path.substr(shared));
}

std::string readPath(ByteReader& r, const std::string& previous) {
    const uint64_t shared = r.varint();
    const std::string_view rest = r.bytes(kMaxPathLength);
    if (shared > previous.size()) return r.giveUp(), std::string();
    return previous.substr(0, shared) + std::string(rest);
}

Result<> putEntry(ByteWriter& w, LocationWriter& locations, const NodeEntry& node,
                  std::string_view previous) {
    const Entry& e = node.entry;
    REGROW_CHECK(checkEntry(e));
    putPath(w, e.path, previous);
    w.u8(static_cast<uint8_t>(e.type));
    w.varint((e.xattrs.empty() ? 0U : kHasXattrs) | (e.link_group != 0 ? kHasLinkGroup : 0U) |
             (e.changed_while_read ? kChangedWhileRead : 0U));
    w.varint(e.mode);
    w.varint(e.uid);
    w.varint(e.gid);
    w.bytes(e.user);
    w.bytes(e.group);
    putTime(w, e.mtime);
    putTime(w, e.ctime);
    w.varint(e.inode);
    if (!e.xattrs.empty()) w.varint(e.xattrs.size());
    for (const auto& [name, value] : e.xattrs) w.bytes(name), w.bytes(value);
    if (e.link_group != 0) w.varint(e.link_group);
    if (e.type == EntryType::symlink) w.bytes(e.target);
    if (e.type == EntryType::block_device || e.type == EntryType::char_device) w.varint(e.device);
    if (e.type != EntryType::regular) return {};
    w.varint(e.size);
    w.u8(static_cast<uint8_t>(e.kind));
    w.u8(node.shard_level);
    if (node.shard_level == 0) return putPieces(w, locations, e.pieces);
    return putRefs(w, locations, node.shards);
}

bool readContent(ByteReader& r, const LocationReader& locations, NodeEntry& node) {
    node.entry.size = r.varint();
    const uint8_t kind = r.u8();
    node.entry.kind = static_cast<ContentKind>(kind);
    node.shard_level = r.u8();
    if (r.failed() || kind > static_cast<uint8_t>(ContentKind::sqlite) ||
        node.shard_level > kMaxTreeLevel)
        return false;
    return node.shard_level == 0 ? readPieces(r, locations, node.entry.pieces)
                                 : readRefs(r, locations, node.shards);
}

void readXattrs(ByteReader& r, Entry& e) {
    const uint64_t count = r.count(2);
    for (uint64_t i = 0; i < count && !r.failed(); ++i) {
        std::string name(r.bytes(kLongestName));
        e.xattrs.emplace_back(std::move(name), std::string(r.bytes(kLongestXattr)));
    }
}

bool readEntry(ByteReader& r, const LocationReader& locations, const std::string& previous,
               NodeEntry& node) {
    Entry& e = node.entry;
    e.path = readPath(r, previous);
    const uint8_t type = r.u8();
    if (r.failed() || type > static_cast<uint8_t>(EntryType::char_device)) return false;
    e.type = static_cast<EntryType>(type);
    const uint32_t flags = r.varint32();
    if ((flags & ~static_cast<uint32_t>(kAllEntryFlags)) != 0) return false;
    e.changed_while_read = (flags & kChangedWhileRead) != 0;
    e.mode = r.varint32();
    e.uid = r.varint32();
    e.gid = r.varint32();
    e.user = r.bytes(kLongestName);
    e.group = r.bytes(kLongestName);
    e.mtime = readTime(r);
    e.ctime = readTime(r);
    e.inode = r.varint();
    if ((flags & kHasXattrs) != 0) readXattrs(r, e);
    if ((flags & kHasLinkGroup) != 0) e.link_group = r.varint();
    if (e.type == EntryType::symlink) e.target = r.bytes(kLongestTarget);
    if (e.type == EntryType::block_device || e.type == EntryType::char_device)
        e.device = r.varint();
    if (e.type == EntryType::regular && !readContent(r, locations, node)) return false;
    return !r.failed() && checkEntry(e).has_value();
}

Result<std::string> encode(const EntriesNode& node, const PackTable& packs) {
    LocationWriter locations(packs);
    ByteWriter body;
    body.varint(node.entries.size());
    std::string_view previous;
    for (const NodeEntry& e : node.entries) {
        REGROW_CHECK(putEntry(body, locations, e, previous));
        previous = e.entry.path;
    }
    return locations.assemble(kEntries, 0, body);
}

Result<std::string> encode(const PiecesNode& node, const PackTable& packs) {
    LocationWriter locations(packs);
    ByteWriter body;
    if (node.level == 0) {
        REGROW_CHECK(putPieces(body, locations, node.pieces));
    } else {
        REGROW_CHECK(putRefs(body, locations, node.children));
    }
    return locations.assemble(kPieces, node.level, body);
}

Result<std::string> encode(const IndexNode& node, const PackTable& packs) {
    LocationWriter locations(packs);
    ByteWriter body;
    body.varint(node.children.size());
    std::string_view previous;
    for (const auto& child : node.children) {
        REGROW_CHECK(locations.put(body, child.ref));
        putPath(body, child.first_path, previous);
        previous = child.first_path;
    }
    return locations.assemble(kIndex, node.level, body);
}

bool read(ByteReader& r, const LocationReader& locations, EntriesNode& node) {
    const uint64_t count = r.count(14);
    std::string previous;
    for (uint64_t i = 0; i < count && !r.failed(); ++i) {
        if (!readEntry(r, locations, previous, node.entries.emplace_back())) return false;
        previous = node.entries.back().entry.path;
    }
    return r.atEnd() && !node.entries.empty();
}

bool read(ByteReader& r, const LocationReader& locations, PiecesNode& node) {
    const bool ok = node.level == 0 ? readPieces(r, locations, node.pieces)
                                    : readRefs(r, locations, node.children);
    return ok && r.atEnd() && !(node.pieces.empty() && node.children.empty());
}

bool read(ByteReader& r, const LocationReader& locations, IndexNode& node) {
    const uint64_t count = r.count(5 + sizeof(ChunkId));
    std::string previous;
    for (uint64_t i = 0; i < count && !r.failed(); ++i) {
        auto& child = node.children.emplace_back();
        if (!locations.ref(r, child.ref)) return false;
        child.first_path = readPath(r, previous);
        previous = child.first_path;
    }
    return r.atEnd() && !node.children.empty() && node.level > 0;
}

void resolve(const LocationReader& l, std::vector<NodeRef>& refs) {
    for (NodeRef& ref : refs) l.resolve(ref.pack, ref.frame);
}
void resolve(const LocationReader& l, std::vector<Piece>& pieces) {
    for (Piece& p : pieces) l.resolve(p.pack, p.frame);
}
void resolve(const LocationReader& l, EntriesNode& node) {
    for (NodeEntry& e : node.entries) resolve(l, e.entry.pieces), resolve(l, e.shards);
}
void resolve(const LocationReader& l, PiecesNode& node) {
    resolve(l, node.pieces), resolve(l, node.children);
}
void resolve(const LocationReader& l, IndexNode& node) {
    for (auto& child : node.children) l.resolve(child.ref.pack, child.ref.frame);
}

template <class N>
Result<Node> decodeAs(ByteReader& r, PackTable& packs, N node) {
    LocationReader locations;
    if (!locations.read(r) || !read(r, locations, node)) return corrupt();
    locations.publish(packs);
    resolve(locations, node);
    return Node(std::move(node));
}

bool xattrsInOrder(const Entry& e) {
    for (size_t i = 0; i < e.xattrs.size(); ++i) {
        const auto& [name, value] = e.xattrs[i];
        const bool follows = i == 0 || e.xattrs[i - 1].first < name;
        if (!follows || name.empty() || name.size() > kLongestName ||
            name.find('\0') != std::string::npos || value.size() > kLongestXattr)
            return false;
    }
    return true;
}

bool piecesInOrder(const Entry& e) {
    uint64_t end = 0;
    for (const Piece& p : e.pieces) {
        if (p.file_offset < end || p.length == 0 || p.length > kMaxPieceSize ||
            p.file_offset > e.size || p.length > e.size - p.file_offset)
            return false;
        end = p.file_offset + p.length;
    }
    return true;
}

}  // namespace

bool validTreePath(std::string_view path) {
    if (path.empty()) return true;  // the root
    if (path.size() > kMaxPathLength || path.find('\0') != std::string_view::npos) return false;
    while (true) {
        const size_t slash = path.find('/');
        const std::string_view name = path.substr(0, slash);
        if (name.empty() || name == "." || name == ".." || name.size() > kLongestName) return false;
        if (slash == std::string_view::npos) return true;
        path.remove_prefix(slash + 1);
    }
}

Result<> checkEntry(const Entry& e) {
    if (!validTreePath(e.path)) return invalid(e, "not a path a snapshot can hold");
    if (e.path.empty() && e.type != EntryType::directory)
        return invalid(e, "the root must be a directory");
    if (e.mode > 07777) return invalid(e, "mode has more than permission bits");
    if (e.user.size() > kLongestName || e.group.size() > kLongestName)
        return invalid(e, "owner's name is too long");
    if (e.mtime.nanoseconds >= 1'000'000'000 || e.ctime.nanoseconds >= 1'000'000'000)
        return invalid(e, "bad time");
    if (!xattrsInOrder(e))
        return invalid(e, "extended attributes are out of order, or a name or value is too long");
    const bool link = e.type == EntryType::symlink;
    if (link != !e.target.empty() || e.target.size() > kLongestTarget ||
        e.target.find('\0') != std::string::npos)
        return invalid(e, "bad link target");
    if (e.type != EntryType::regular && !e.pieces.empty())
        return invalid(e, "has content and is no file");
    if (e.type == EntryType::regular &&
        (e.size > static_cast<uint64_t>(INT64_MAX) || !piecesInOrder(e)))
        return invalid(e, "its pieces do not fit its size");
    return {};
}

Result<std::string> encodeNode(const Node& node, const PackTable& packs) {
    return std::visit([&](const auto& n) { return encode(n, packs); }, node);
}

Result<Node> decodeNode(std::string_view bytes, PackTable& packs) {
    if (bytes.size() > kMaxPieceSize) return corrupt();
    ByteReader r(bytes);
    const uint8_t kind = r.u8();
    if (r.u8() != kVersion)
        return fail(Code::corrupt, Source::repository, "a tree node was written by a newer regrow");
    const uint8_t level = r.u8();
    if (r.failed() || level > kMaxTreeLevel) return corrupt();
    if (kind == kEntries && level == 0) return decodeAs(r, packs, EntriesNode{});
    if (kind == kPieces) return decodeAs(r, packs, PiecesNode{level, {}, {}});
    if (kind == kIndex) return decodeAs(r, packs, IndexNode{level, {}});
    return corrupt();
}

}  // namespace regrow::backup
