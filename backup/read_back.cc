#include "backup/read_back.h"

#include <algorithm>
#include <span>

namespace regrow::backup {
namespace {

constexpr uint64_t kLongestRead = uint64_t{8} << 20;

std::unexpected<Error> corrupt(const std::string& name, std::string_view why) {
    return fail(Code::corrupt, Source::repository, name + ": " + std::string(why));
}

bool sameFrame(const PackedFrame& a, const PackedFrame& b) {
    return a.span.number == b.span.number && a.span.offset == b.span.offset &&
           a.span.stored == b.span.stored && a.span.plain == b.span.plain &&
           a.span.compressed == b.span.compressed;
}

// How many of the frames lie within one read.
size_t framesToRead(std::span<const PackedFrame> frames) {
    const uint64_t begin = frames.front().span.offset;
    size_t count = 1;
    while (count < frames.size() &&
           frames[count].span.offset + frames[count].span.stored - begin <= kLongestRead)
        ++count;
    return count;
}

Result<> openFrames(Repository& repository, const std::string& name, FrameOpener& opener,
                    std::span<const PackedFrame> frames) {
    const uint64_t begin = frames.front().span.offset;
    const uint64_t end = frames.back().span.offset + frames.back().span.stored;
    REGROW_TRY(const std::string bytes, repository.get(name, begin, end - begin));
    std::string plain;
    for (const PackedFrame& frame : frames) {
        const auto stored =
            std::string_view(bytes).substr(frame.span.offset - begin, frame.span.stored);
        if (!opener.open(frame.span, stored, plain))
            return corrupt(name,
                           "frame " + std::to_string(frame.span.number) + " cannot be opened");
    }
    return {};
}

}  // namespace

Result<> readBack(Repository& repository, const Keyring& keys, const PackContents& expected,
                  Proof& proof) {
    const std::string name = packObjectName(expected.info.id);
    REGROW_TRY(const auto object, repository.stat(name));
    if (!object) return fail(Code::not_found, Source::repository, name + " is not there");
    if (object->size != expected.size)
        return corrupt(name, "it is not of the size that was written");
    auto there = readPackContents(repository, keys, expected.info.id, expected.size);
    if (!there) return std::unexpected(std::move(there.error()).in(name));
    if (!std::ranges::equal(there->frames, expected.frames, sameFrame) ||
        there->info.salt != expected.info.salt || there->info.key_id != expected.info.key_id)
        return corrupt(name, "it is not the pack that was written");
    REGROW_TRY(FrameOpener opener, FrameOpener::make(keys, expected.info));
    for (std::span<const PackedFrame> rest = expected.frames; !rest.empty();) {
        const size_t count = framesToRead(rest);
        REGROW_CHECK(openFrames(repository, name, opener, rest.first(count)));
        rest = rest.subspan(count);
    }
    ++proof.packs;
    proof.frames += expected.frames.size();
    proof.bytes += expected.size;
    return {};
}

}  // namespace regrow::backup
