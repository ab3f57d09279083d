#include "backup/frame_reader.h"

#include <algorithm>

#include "backup/index.h"
#include "backup/pack.h"

namespace regrow::backup {
namespace {

constexpr uint64_t kLongestRead = uint64_t{8} << 20;
constexpr size_t kCachedFrames = 8;

}  // namespace

// The frames of the last few single reads: the nodes of a tree and the pieces of a small file share
// them.
struct FrameReader::Cache {
    struct Held {
        uint32_t pack = 0;
        uint32_t frame = 0;
        std::shared_ptr<const std::string> plain;
    };
    std::mutex mutex;
    std::vector<Held> held;  // oldest first

    std::shared_ptr<const std::string> find(uint32_t pack, uint32_t frame) {
        const std::scoped_lock lock(mutex);
        for (const Held& h : held)
            if (h.pack == pack && h.frame == frame) return h.plain;
        return nullptr;
    }
    void keep(uint32_t pack, uint32_t frame, std::shared_ptr<const std::string> plain) {
        const std::scoped_lock lock(mutex);
        if (held.size() == kCachedFrames) held.erase(held.begin());
        held.push_back({pack, frame, std::move(plain)});
    }
};

FrameReader::FrameReader(Repository& repository, const Keyring& keys, const PackTable& packs)
    : repository_(repository), keys_(keys), packs_(packs), cache_(std::make_unique<Cache>()) {}
FrameReader::~FrameReader() = default;

// Whoever finds a damaged pack says so in the repository, at once: until it is listed, a capture
// would go on referring to what it holds, and its snapshots would be as lost. A store that cannot
// be written to now is told at the next finding.
Error FrameReader::noteDamage(const PackId& pack, Error error) const {
    if (error.code == Code::corrupt || error.code == Code::not_found) [[maybe_unused]]
        const auto marked = markBad(repository_, keys_, pack, error.message);
    return error;
}

Result<> FrameReader::fetch(uint32_t pack, std::span<const uint32_t> frames,
                            const OnFrame& on_frame) const {
    REGROW_TRY(const PackInfo info, packs_.pack(pack));
    REGROW_TRY(FrameOpener opener, FrameOpener::make(keys_, info));
    const std::string name = packObjectName(info.id);
    std::string plain;
    for (size_t i = 0; i < frames.size();) {
        std::vector<FrameSpan> run;
        uint64_t end = 0;
        while (i < frames.size()) {
            REGROW_TRY(const FrameSpan span, packs_.frame(pack, frames[i]));
            if (!run.empty() &&
                (span.offset != end || end + span.stored - run.front().offset > kLongestRead))
                break;
            run.push_back(span);
            end = span.offset + span.stored;
            ++i;
        }
        auto bytes = repository_.get(name, run.front().offset, end - run.front().offset);
        if (!bytes) return std::unexpected(noteDamage(info.id, std::move(bytes).error()));
        for (const FrameSpan& span : run) {
            const auto stored =
                std::string_view(*bytes).substr(span.offset - run.front().offset, span.stored);
            auto opened = opener.open(span, stored, plain);
            if (!opened)
                return std::unexpected(noteDamage(
                    info.id,
                    std::move(opened).error().in(name + ", frame " + std::to_string(span.number))));
            REGROW_CHECK(on_frame(span.number, plain));
        }
    }
    return {};
}

Result<std::string> FrameReader::frame(uint32_t pack, uint32_t number) const {
    std::string bytes;
    const uint32_t one[] = {number};
    REGROW_CHECK(fetch(pack, one, [&](uint32_t, std::string_view plain) -> Result<> {
        bytes = plain;
        return {};
    }));
    return bytes;
}

Result<std::string> FrameReader::bytesAt(uint32_t pack, uint32_t number, uint32_t offset,
                                         uint32_t length) const {
    auto plain = cache_->find(pack, number);
    if (!plain) {
        REGROW_TRY(std::string read, frame(pack, number));
        plain = std::make_shared<const std::string>(std::move(read));
        cache_->keep(pack, number, plain);
    }
    if (offset > plain->size() || length > plain->size() - offset)
        return fail(Code::corrupt, Source::repository, "a piece reaches beyond its frame");
    return plain->substr(offset, length);
}

Result<std::string> FrameReader::piece(const Piece& piece) const {
    REGROW_TRY(std::string bytes,
               bytesAt(piece.pack, piece.frame, piece.frame_offset, piece.length));
    if (keys_.chunkMac().of(bytes) != piece.id)
        return fail(Code::corrupt, Source::repository, "a piece's bytes are not those of its id");
    return bytes;
}

}  // namespace regrow::backup
