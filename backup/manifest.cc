#include "backup/manifest.h"

#include <algorithm>

#include "backup/bytes.h"

namespace regrow::backup {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kLongestName = 255;
constexpr size_t kLongestText = 8192;
constexpr uint32_t kKnownFlags = kIncomplete | kRescue | kExact | kSuspicious;

int64_t nanoseconds(WallTime t) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
}
WallTime wallTime(int64_t ns) {
    return WallTime(std::chrono::duration_cast<Wall::duration>(std::chrono::nanoseconds(ns)));
}

Digest readDigest(ByteReader& r) {
    const std::string_view bytes = r.raw(sizeof(Digest));
    return r.failed() ? Digest{} : digestFrom(bytes);
}

std::string shortened(const std::string& text, size_t limit) {
    return text.substr(0, limit);
}

}  // namespace

bool validSnapshotName(std::string_view name) {
    return !name.empty() && name.size() <= kLongestName &&
           std::none_of(name.begin(), name.end(), [](char c) {
               const auto byte = static_cast<unsigned char>(c);
               return byte < 0x20 || byte == 0x7f;
           });
}

std::string encodeHeader(const SnapshotHeader& h) {
    ByteWriter w;
    w.u8(kVersion);
    w.bytes(h.name);
    w.varint(h.number);
    w.varint(h.epoch);
    w.bytes(h.lineage);
    w.signedVarint(nanoseconds(h.captured_at));
    w.signedVarint(nanoseconds(h.finished_at));
    w.u8(static_cast<uint8_t>(h.type));
    w.varint(h.flags);
    for (const std::string* text : {&h.capture, &h.host, &h.source})
        w.bytes(shortened(*text, kLongestText));
    w.u8(h.has_parent ? 1 : 0);
    if (h.has_parent) w.raw(bytesOf(h.parent));
    if (h.has_parent) w.varint(h.parent_number);
    for (const uint64_t n :
         {h.files, h.directories, h.others, h.bytes, h.new_bytes, h.stored_bytes})
        w.varint(n);
    w.varint(std::max<uint64_t>(h.problems_total, h.problems.size()));
    const size_t kept = std::min(h.problems.size(), kMaxProblems);
    w.varint(kept);
    for (size_t i = 0; i < kept; ++i) w.bytes(shortened(h.problems[i], kMaxProblemLength));
    w.raw(bytesOf(h.tree_id));
    w.raw(bytesOf(h.tree_hash));
    return w.take();
}

Result<SnapshotHeader> decodeHeader(std::string_view bytes) {
    const auto corrupt = [](const char* why) {
        return fail(Code::corrupt, Source::repository, why);
    };
    ByteReader r(bytes);
    if (r.u8() != kVersion) return corrupt("the snapshot was written by a newer regrow");
    SnapshotHeader h;
    h.name = r.bytes(kLongestName);
    h.number = r.varint();
    h.epoch = r.varint();
    h.lineage = r.bytes(kLongestName);
    h.captured_at = wallTime(r.signedVarint());
    h.finished_at = wallTime(r.signedVarint());
    const uint8_t type = r.u8();
    h.type = static_cast<SnapshotType>(type);
    h.flags = r.varint32();
    for (std::string* text : {&h.capture, &h.host, &h.source}) *text = r.bytes(kLongestText);
    const uint8_t has_parent = r.u8();
    h.has_parent = has_parent == 1;
    if (h.has_parent) h.parent = readDigest(r);
    if (h.has_parent) h.parent_number = r.varint();
    for (uint64_t* n :
         {&h.files, &h.directories, &h.others, &h.bytes, &h.new_bytes, &h.stored_bytes})
        *n = r.varint();
    h.problems_total = r.varint();
    const uint64_t problems = r.count(1);
    if (problems > kMaxProblems) return corrupt("the snapshot's header makes no sense");
    for (uint64_t i = 0; i < problems; ++i) h.problems.emplace_back(r.bytes(kMaxProblemLength));
    h.tree_id = readDigest(r);
    h.tree_hash = readDigest(r);
    if (!r.atEnd() || type > 1 || has_parent > 1 || (h.flags & ~kKnownFlags) != 0 ||
        !validSnapshotName(h.name))
        return corrupt("the snapshot's header makes no sense");
    return h;
}

}  // namespace regrow::backup
