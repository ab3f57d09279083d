#include <algorithm>
#include <cassert>
#include <cstring>

#include "backup/bytes.h"
#include "backup/index.h"

namespace regrow::backup {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kHeaderSize = 16;
constexpr size_t kPackSize = 72;
constexpr size_t kFrameSize = 8;
constexpr size_t kRecordSize = 36;
constexpr size_t kIdSize = 20;
constexpr size_t kSaltSize = 16;
constexpr uint32_t kCompressed = uint32_t{1} << 31;

struct PackRow {
    PackInfo info;
    uint64_t size = 0;
    PackKind kind = PackKind::content;
    std::vector<FrameSpan> frames;
};
using Record = std::array<char, kRecordSize>;

Record makeRecord(std::string_view id, uint32_t pack, uint32_t frame, uint32_t offset,
                  uint32_t length) {
    ByteWriter w;
    w.raw(id.substr(0, kIdSize));
    w.u32(pack);
    w.u32(frame);
    w.u32(offset);
    w.u32(length);
    Record r{};
    std::copy(w.view().begin(), w.view().end(), r.begin());
    return r;
}

std::string assemble(const std::vector<PackRow>& packs, std::vector<Record>& records) {
    const auto unsignedLess = [](const Record& a, const Record& b) {
        return std::memcmp(a.data(), b.data(), a.size()) < 0;
    };
    std::sort(records.begin(), records.end(), unsignedLess);
    size_t frames = 0;
    for (const PackRow& p : packs) frames += p.frames.size();
    ByteWriter w;
    w.u8(kVersion);
    w.raw(std::string_view("\0\0\0", 3));
    w.u32(static_cast<uint32_t>(packs.size()));
    w.u32(static_cast<uint32_t>(frames));
    w.u32(static_cast<uint32_t>(records.size()));
    uint32_t first_frame = 0;
    for (const PackRow& p : packs) {
        w.raw(bytesOf(p.info.id));
        w.u64(p.size);
        w.u32(p.info.key_id);
        w.raw(p.info.salt);
        w.u8(static_cast<uint8_t>(p.kind));
        w.raw(std::string_view("\0\0\0", 3));
        w.u32(static_cast<uint32_t>(p.frames.size()));
        w.u32(first_frame);
        first_frame += static_cast<uint32_t>(p.frames.size());
    }
    for (const PackRow& p : packs)
        for (const FrameSpan& f : p.frames)
            w.u32(f.stored), w.u32(f.plain | (f.compressed ? kCompressed : 0));
    for (const Record& r : records) w.raw({r.data(), r.size()});
    return w.take();
}

}  // namespace

std::string IndexRun::encode(const std::vector<PackContents>& packs) {
    std::vector<PackRow> rows;
    std::vector<Record> records;
    for (const PackContents& p : packs) {
        const auto number = static_cast<uint32_t>(rows.size());
        PackRow row{p.info, p.size, p.kind, {}};
        for (const PackedFrame& f : p.frames) {
            row.frames.push_back(f.span);
            uint32_t offset = 0;
            for (const PackedPiece& piece : f.pieces) {
                records.push_back(
                    makeRecord(bytesOf(piece.id), number, f.span.number, offset, piece.length));
                offset += piece.length;
            }
        }
        rows.push_back(std::move(row));
    }
    return assemble(rows, records);
}

std::string IndexRun::merge(const std::vector<const IndexRun*>& runs,
                            const std::set<PackId>& keep) {
    std::vector<PackRow> rows;
    std::vector<Record> records;
    std::set<PackId> taken;
    for (const IndexRun* run : runs) {
        std::vector<std::optional<uint32_t>> numbers(run->packCount());
        for (uint32_t i = 0; i < run->packCount(); ++i) {
            const PackInfo info = run->pack(i);
            if (!keep.contains(info.id) || !taken.insert(info.id).second) continue;
            numbers[i] = static_cast<uint32_t>(rows.size());
            const auto kind = static_cast<PackKind>(run->bytes_[kHeaderSize + i * kPackSize + 60]);
            rows.push_back({info, run->packSize(i), kind, run->frames(i)});
        }
        for (uint64_t i = 0; i < run->records_; ++i) {
            const Hit h = run->hit(i);
            if (h.pack < numbers.size() && numbers[h.pack])
                records.push_back(makeRecord(run->record(i), *numbers[h.pack], h.frame,
                                             h.frame_offset, h.length));
        }
    }
    return assemble(rows, records);
}

Result<IndexRun> IndexRun::parse(std::string bytes) {
    IndexRun run;
    ByteReader r(bytes);
    const uint8_t version = r.u8();
    r.raw(3);
    run.packs_ = r.u32();
    run.frames_ = r.u32();
    run.records_ = r.u32();
    const uint64_t size = kHeaderSize + uint64_t{run.packs_} * kPackSize +
                          uint64_t{run.frames_} * kFrameSize + uint64_t{run.records_} * kRecordSize;
    if (r.failed() || version != kVersion || size != bytes.size())
        return fail(Code::corrupt, Source::repository, "an index run makes no sense");
    run.bytes_ = std::move(bytes);
    return run;
}

PackInfo IndexRun::pack(uint32_t number) const {
    assert(number < packs_);
    ByteReader r(
        std::string_view(bytes_).substr(kHeaderSize + size_t{number} * kPackSize, kPackSize));
    PackInfo info;
    info.id = digestFrom(r.raw(sizeof(PackId)));
    r.u64();
    info.key_id = r.u32();
    info.salt = r.raw(kSaltSize);
    return info;
}

uint64_t IndexRun::packSize(uint32_t number) const {
    return ByteReader(
               std::string_view(bytes_).substr(kHeaderSize + size_t{number} * kPackSize + 32, 8))
        .u64();
}

std::vector<FrameSpan> IndexRun::frames(uint32_t number) const {
    ByteReader row(
        std::string_view(bytes_).substr(kHeaderSize + size_t{number} * kPackSize + 64, 8));
    const uint32_t count = row.u32();
    const uint32_t first = row.u32();
    std::vector<FrameSpan> spans;
    if (first > frames_ || count > frames_ - first) return spans;
    const size_t at = kHeaderSize + size_t{packs_} * kPackSize + size_t{first} * kFrameSize;
    ByteReader r(std::string_view(bytes_).substr(at, size_t{count} * kFrameSize));
    uint64_t offset = kPackHeaderSize;
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t stored = r.u32();
        const uint32_t plain = r.u32();
        spans.push_back({i, stored, offset, plain & ~kCompressed, (plain & kCompressed) != 0});
        offset += stored;
    }
    return spans;
}

std::string_view IndexRun::record(uint64_t i) const {
    const size_t at = kHeaderSize + size_t{packs_} * kPackSize + size_t{frames_} * kFrameSize;
    return std::string_view(bytes_).substr(at + i * kRecordSize, kRecordSize);
}

IndexRun::Hit IndexRun::hit(uint64_t i) const {
    ByteReader r(record(i).substr(kIdSize));
    return {r.u32(), r.u32(), r.u32(), r.u32()};
}

std::vector<IndexRun::Hit> IndexRun::find(const ChunkId& id) const {
    const std::string_view wanted = bytesOf(id).substr(0, kIdSize);
    const auto compare = [&](uint64_t i) {
        return std::memcmp(record(i).data(), wanted.data(), kIdSize);
    };
    uint64_t low = 0;
    uint64_t high = records_;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (compare(middle) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    std::vector<Hit> hits;
    for (; low < records_ && compare(low) == 0; ++low) hits.push_back(hit(low));
    return hits;
}

}  // namespace regrow::backup
