#include "backup/chunker.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace regrow::backup {
namespace {

// `bits` ones, at the top: the gear hash's high bits are those that the most bytes have reached.
uint64_t topMask(int bits) {
    return ~uint64_t{0} << (64 - bits);
}

}  // namespace

Chunker::Chunker(const GearTable& gear, ChunkerLimits limits) : gear_(gear), limits_(limits) {
    assert(std::has_single_bit(limits.average) && limits.min < limits.average &&
           limits.average < limits.max);
    const int bits = std::countr_zero(limits.average);
    // Two bits more before the average and two fewer after it: normalised chunking, level 2, of the
    // paper.
    mask_hard_ = topMask(bits + 2);
    mask_easy_ = topMask(bits - 2);
}

size_t Chunker::next(ContentKind kind, uint64_t file_offset, std::string_view data) const {
    assert(!data.empty());
    if (kind == ContentKind::plain) return contentDefined(data);
    const uint64_t to_boundary = limits_.page - file_offset % limits_.page;
    return static_cast<size_t>(std::min<uint64_t>(to_boundary, data.size()));
}

size_t Chunker::contentDefined(std::string_view data) const {
    if (data.size() <= limits_.min) return data.size();
    const size_t end = std::min<size_t>(data.size(), limits_.max);
    const size_t normal = std::min<size_t>(end, limits_.average);
    uint64_t hash = 0;
    size_t i = limits_.min;
    for (; i < normal; ++i) {
        hash = (hash << 1) + gear_[static_cast<unsigned char>(data[i])];
        if ((hash & mask_hard_) == 0) return i + 1;
    }
    for (; i < end; ++i) {
        hash = (hash << 1) + gear_[static_cast<unsigned char>(data[i])];
        if ((hash & mask_easy_) == 0) return i + 1;
    }
    return end;
}

}  // namespace regrow::backup
