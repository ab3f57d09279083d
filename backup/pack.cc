#include "backup/pack.h"

#include <algorithm>
#include <cassert>

#include "backup/bytes.h"
#include "backup/compress.h"
#include "base/random.h"

namespace regrow::backup {
namespace {

constexpr std::string_view kMagic = "RGRWPACK";
constexpr std::string_view kEndMagic = "RGRWPEND";
constexpr uint8_t kVersion = 1;
constexpr size_t kSaltSize = 16;
constexpr size_t kMaxPackPieces = 200'000;  // keeps the footer below kMaxFooterSize
constexpr uint8_t kFrameCompressed = 1;

std::unexpected<Error> corrupt(std::string why) {
    return fail(Code::corrupt, Source::repository, std::move(why));
}

std::string encodeHeader(const PackInfo& info) {
    ByteWriter w;
    w.raw(kMagic);
    w.u8(kVersion);
    w.raw(std::string_view("\0\0\0", 3));
    w.u32(info.key_id);
    w.raw(info.salt);
    return w.take();
}

std::string associated(const Keyring& keys, const PackInfo& info) {
    std::string aad = encodeHeader(info);
    aad.append(reinterpret_cast<const char*>(keys.repository().data()), keys.repository().size());
    return aad;
}

std::string withNumber(const std::string& aad, uint64_t number) {
    ByteWriter w;
    w.raw(aad);
    w.u64(number);
    return w.take();
}

std::string encodeFooter(PackKind kind, const std::vector<PackedFrame>& frames) {
    ByteWriter w;
    w.u8(kVersion);
    w.u8(static_cast<uint8_t>(kind));
    w.varint(frames.size());
    for (const PackedFrame& f : frames) {
        w.varint(f.span.stored);
        w.varint(f.span.plain);
        w.u8(f.span.compressed ? kFrameCompressed : 0);
        w.varint(f.pieces.size());
        for (const PackedPiece& p : f.pieces) {
            w.raw(bytesOf(p.id));
            w.varint(p.length);
        }
    }
    return w.take();
}

PackInfo newInfo(const Keyring& keys) {
    return {{}, keys.currentKey(), secureRandomBytes(kSaltSize)};
}

bool decodePieces(ByteReader& r, PackedFrame& frame) {
    const uint64_t count = r.count(sizeof(ChunkId) + 1);
    uint64_t total = 0;
    for (uint64_t i = 0; i < count && !r.failed(); ++i) {
        const std::string_view id = r.raw(sizeof(ChunkId));
        const uint32_t length = r.varint32();
        if (r.failed() || length == 0) return false;
        frame.pieces.push_back({digestFrom(id), length});
        total += length;
    }
    return !r.failed() && total == frame.span.plain;
}

}  // namespace

std::string packObjectName(const PackId& id) {
    const std::string hex = hexOf(id);
    return "packs/" + hex.substr(0, 2) + "/" + hex;
}

Result<PackId> packIdOf(std::string_view object_name) {
    const auto id = digestFromHex(object_name.substr(object_name.rfind('/') + 1));
    if (!id || packObjectName(*id) != object_name)
        return fail(Code::invalid, Source::repository,
                    std::string(object_name) + " is not a pack's name");
    return *id;
}

Result<FrameOpener> FrameOpener::make(const Keyring& keys, const PackInfo& info) {
    REGROW_TRY(Sealer sealer, keys.packSealer(info.key_id, info.salt));
    return FrameOpener(std::move(sealer), associated(keys, info));
}

Result<> FrameOpener::open(const FrameSpan& span, std::string_view stored, std::string& plain) {
    plain.clear();  // nothing of the frame before stays when this one does not open
    const std::string aad = withNumber(aad_, span.number);
    if (!span.compressed) {
        REGROW_CHECK(sealer_.open(span.number, aad, stored, plain));
        if (plain.size() != span.plain) return corrupt("its size is not what the table says");
        return {};
    }
    REGROW_CHECK(sealer_.open(span.number, aad, stored, packed_));
    return unpack(packed_, span.plain, plain);
}

Result<> FrameOpener::openFooter(std::string_view stored, std::string& plain) {
    return sealer_.open(kFooterNonce, withNumber(aad_, kFooterNonce), stored, plain);
}

PackWriter::PackWriter(const Keyring& keys, PackKind kind, size_t target_size, TaskPool* pool)
    : keys_(&keys),
      pool_(pool),
      info_(newInfo(keys)),
      kind_(kind),
      target_size_(target_size),
      aad_(associated(keys, info_)),
      bytes_(encodeHeader(info_)) {}

PackWriter::Place PackWriter::add(const ChunkId& id, std::string_view bytes) {
    assert(!bytes.empty() && bytes.size() <= kMaxPieceSize);
    const bool too_much = pending_plain_.size() + bytes.size() > kFrameTarget;
    if (!pending_.pieces.empty() && (too_much || pending_.pieces.size() == kMaxFramePieces))
        closeFrame();
    const Place place{static_cast<uint32_t>(frames_.size()),
                      static_cast<uint32_t>(pending_plain_.size())};
    if (pending_plain_.empty()) pending_plain_.reserve(std::max(kFrameTarget, bytes.size()));
    pending_.pieces.push_back({id, static_cast<uint32_t>(bytes.size())});
    pending_plain_.append(bytes);
    ++piece_count_;
    return place;
}

bool PackWriter::full() const {
    return bytes_.size() + sealing_plain_ + pending_plain_.size() >= target_size_ ||
           piece_count_ >= kMaxPackPieces;
}

PackWriter::SealedFrame PackWriter::sealFrame(const Sealer& sealer, std::string_view aad,
                                              uint32_t number, std::string_view plain) {
    thread_local Compressor compressor;
    thread_local std::string packed;
    SealedFrame frame;
    frame.compressed = compressor.pack(plain, packed);
    sealer.seal(number, withNumber(std::string(aad), number), frame.compressed ? packed : plain,
                frame.bytes);
    return frame;
}

void PackWriter::closeFrame() {
    FrameSpan& span = pending_.span;
    span.number = static_cast<uint32_t>(frames_.size());
    span.plain = static_cast<uint32_t>(pending_plain_.size());
    std::packaged_task<SealedFrame()> task([keys = keys_, info = info_, aad = aad_,
                                            number = span.number,
                                            plain = std::exchange(pending_plain_, {})] {
        return sealFrame(*keys->packSealer(info.key_id, info.salt), aad, number, plain);
    });
    sealing_.push_back(task.get_future());
    sealing_plain_ += span.plain;
    frames_.push_back(std::exchange(pending_, {}));
    if (pool_)
        pool_->run(std::move(task));
    else
        task();
    takeSealed(false);
}

// In the order of their numbers, as far as they are ready.
void PackWriter::takeSealed(bool wait) {
    while (!sealing_.empty()) {
        std::future<SealedFrame>& next = sealing_.front();
        if (!wait && next.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return;
        append(next.get());
        sealing_.pop_front();
    }
}

void PackWriter::append(const SealedFrame& sealed) {
    FrameSpan& span = frames_[frames_.size() - sealing_.size()].span;
    // A second frame means that many may come: growing step by step would copy all of it each time.
    if (span.number == 1) bytes_.reserve(target_size_ + kMaxFrameStored);
    span.offset = bytes_.size();
    span.stored = static_cast<uint32_t>(sealed.bytes.size());
    span.compressed = sealed.compressed;
    bytes_.append(sealed.bytes);
    sealing_plain_ -= span.plain;
}

PackWriter::Finished PackWriter::finish() {
    if (!pending_.pieces.empty()) closeFrame();
    takeSealed(true);
    const size_t footer_start = bytes_.size();
    keys_->packSealer(info_.key_id, info_.salt)
        ->seal(kFooterNonce, withNumber(aad_, kFooterNonce), encodeFooter(kind_, frames_), bytes_);
    ByteWriter trailer;
    trailer.u32(static_cast<uint32_t>(bytes_.size() - footer_start));
    trailer.u32(0);
    trailer.raw(kEndMagic);
    bytes_.append(trailer.view());
    info_.id = sha256(bytes_);
    const uint64_t size = bytes_.size();
    return {{info_, kind_, size, std::move(frames_)}, std::move(bytes_)};
}

Result<PackInfo> decodePackHeader(std::string_view bytes) {
    ByteReader r(bytes);
    if (r.raw(kMagic.size()) != kMagic) return corrupt("not a pack");
    if (r.u8() != kVersion) return corrupt("the pack was written by a newer regrow, or is damaged");
    r.raw(3);
    PackInfo info;
    info.key_id = r.u32();
    info.salt = r.raw(kSaltSize);
    if (!r.atEnd()) return corrupt("not a pack's header");
    return info;
}

Result<PackContents> decodePackFooter(std::string_view plain, uint64_t footer_stored,
                                      uint64_t pack_size) {
    ByteReader r(plain);
    if (r.u8() != kVersion) return corrupt("the pack was written by a newer regrow");
    PackContents contents;
    contents.size = pack_size;
    const uint8_t kind = r.u8();
    contents.kind = static_cast<PackKind>(kind);
    const uint64_t count = r.count(4 + sizeof(ChunkId));
    uint64_t offset = kPackHeaderSize;
    for (uint64_t i = 0; i < count; ++i) {
        PackedFrame frame;
        frame.span = {static_cast<uint32_t>(i), r.varint32(), offset, r.varint32(), false};
        const uint8_t flags = r.u8();
        frame.span.compressed = flags == kFrameCompressed;
        if (flags > 1 || frame.span.stored > kMaxFrameStored || frame.span.plain > kMaxPieceSize ||
            !decodePieces(r, frame))
            return corrupt("the pack's table makes no sense");
        offset += frame.span.stored;
        contents.frames.push_back(std::move(frame));
    }
    if (!r.atEnd() || kind < 1 || kind > 2 ||
        offset + footer_stored + kPackTrailerSize != pack_size)
        return corrupt("the pack's table does not fit the pack");
    return contents;
}

Result<PackContents> readPackContents(Repository& repository, const Keyring& keys, const PackId& id,
                                      uint64_t size) {
    const std::string name = packObjectName(id);
    if (size < kPackHeaderSize + kPackTrailerSize + kSealOverhead || size > kMaxPackSize)
        return corrupt("of " + std::to_string(size) + " bytes: cut short, or no pack");
    REGROW_TRY(const std::string head, repository.get(name, 0, kPackHeaderSize));
    REGROW_TRY(PackInfo info, decodePackHeader(head));
    info.id = id;
    REGROW_TRY(const std::string tail,
               repository.get(name, size - kPackTrailerSize, kPackTrailerSize));
    ByteReader r(tail);
    const uint32_t footer_size = r.u32();
    const uint32_t zero = r.u32();
    if (zero != 0 || r.raw(kEndMagic.size()) != kEndMagic || footer_size > kMaxFooterSize ||
        footer_size > size - kPackHeaderSize - kPackTrailerSize)
        return corrupt("its trailer is damaged");
    REGROW_TRY(const std::string stored,
               repository.get(name, size - kPackTrailerSize - footer_size, footer_size));
    REGROW_TRY(FrameOpener opener, FrameOpener::make(keys, info));
    std::string plain;
    if (!opener.openFooter(stored, plain)) return corrupt("the seal of its table is broken");
    REGROW_TRY(PackContents contents, decodePackFooter(plain, footer_size, size));
    contents.info = info;
    return contents;
}

}  // namespace regrow::backup
