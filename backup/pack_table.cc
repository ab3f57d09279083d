#include "backup/pack_table.h"

#include <mutex>

namespace regrow::backup {
namespace {

std::unexpected<Error> unknown(uint32_t number, std::string_view why) {
    return fail(Code::internal, Source::us,
                "pack number " + std::to_string(number) + ": " + std::string(why));
}

}  // namespace

uint32_t PackTable::reserve() {
    const std::unique_lock lock(mutex_);
    packs_.emplace_back();
    return static_cast<uint32_t>(packs_.size() - 1);
}

void PackTable::assign(uint32_t number, const PackInfo& info) {
    const std::unique_lock lock(mutex_);
    packs_.at(number).info = info;
    packs_.at(number).assigned = true;
    numbers_.emplace(info.id, number);
}

uint32_t PackTable::numberOf(const PackInfo& info) {
    const std::unique_lock lock(mutex_);
    const auto [it, added] = numbers_.emplace(info.id, static_cast<uint32_t>(packs_.size()));
    if (added) packs_.push_back({info, true, {}});
    return it->second;
}

void PackTable::addFrame(uint32_t number, const FrameSpan& frame) {
    const std::unique_lock lock(mutex_);
    packs_.at(number).frames.insert_or_assign(frame.number, frame);
}

void PackTable::addFrames(uint32_t number, std::span<const FrameSpan> frames) {
    const std::unique_lock lock(mutex_);
    auto& known = packs_.at(number).frames;
    for (const FrameSpan& f : frames) known.insert_or_assign(f.number, f);
}

size_t PackTable::size() const {
    const std::shared_lock lock(mutex_);
    return packs_.size();
}

Result<PackInfo> PackTable::pack(uint32_t number) const {
    const std::shared_lock lock(mutex_);
    if (number >= packs_.size() || !packs_[number].assigned) return unknown(number, "not finished");
    return packs_[number].info;
}

Result<FrameSpan> PackTable::frame(uint32_t number, uint32_t frame) const {
    const std::shared_lock lock(mutex_);
    if (number >= packs_.size()) return unknown(number, "not of this store");
    const auto it = packs_[number].frames.find(frame);
    if (it == packs_[number].frames.end())
        return unknown(number, "no frame " + std::to_string(frame));
    return it->second;
}

}  // namespace regrow::backup
