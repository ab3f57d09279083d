#include "proxy/recovery/journal_scan.h"

#include <fmt/format.h>

#include <optional>

#include "base/crc32c.h"

namespace regrow::recovery {
namespace {

constexpr size_t kHead = 8;                    // length, checksum
constexpr size_t kLargest = size_t{64} << 20;  // of one payload; more is not a record

uint32_t readU32(std::string_view bytes, size_t at) {
    uint32_t value = 0;
    for (size_t i = 4; i-- > 0;) value = (value << 8) | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

void putU32(std::string& out, uint32_t value) {
    for (int i = 0; i < 4; i++) out.push_back(static_cast<char>((value >> (8 * i)) & 0xFF));
}

std::optional<std::string_view> recordAt(std::string_view content, size_t at) {
    if (content.size() - at < kHead) return std::nullopt;
    const size_t length = readU32(content, at);
    if (length == 0 || length > kLargest || length > content.size() - at - kHead)
        return std::nullopt;
    // A payload is a JSON object: that spares the checksum for nearly every offset that is no
    // record.
    const auto payload = content.substr(at + kHead, length);
    if (payload.front() != '{' || payload.back() != '}') return std::nullopt;
    if (crc32c(payload) != readU32(content, at + 4)) return std::nullopt;
    return payload;
}

std::optional<size_t> goodRecordAfter(std::string_view content, size_t from) {
    for (size_t at = from; at + kHead < content.size(); at++) {
        at = content.find_first_not_of('\0', at);
        if (at == std::string_view::npos) return std::nullopt;
        // A length may begin with zero bytes, up to three of them.
        for (size_t back = 0; back < 4 && at - back >= from; back++)
            if (recordAt(content, at - back)) return at - back;
    }
    return std::nullopt;
}

}  // namespace

std::string journalRecord(std::string_view payload) {
    std::string record;
    record.reserve(kHead + payload.size());
    putU32(record, static_cast<uint32_t>(payload.size()));
    putU32(record, crc32c(payload));
    record.append(payload);
    return record;
}

Result<Scan> scanJournal(std::string_view content, std::string_view path) {
    if (!content.starts_with(kJournalMagic))
        return fail(Code::corrupt, Source::disk,
                    fmt::format("{} is not a journal this version reads (it begins with other "
                                "bytes than {}): move it away "
                                "to start from the configuration's own assignments",
                                path, kJournalMagic));
    Scan scan{.payloads = {}, .end = kJournalMagic.size()};
    while (const auto payload = recordAt(content, scan.end)) {
        scan.payloads.push_back(*payload);
        scan.end += kHead + payload->size();
    }
    const auto last = content.find_last_not_of('\0');
    if (last == std::string_view::npos || last < scan.end) return scan;
    if (const auto good = goodRecordAfter(content, scan.end + 1))
        return fail(Code::corrupt, Source::disk,
                    fmt::format("{} is damaged at byte {} (records go on at byte {}): what was "
                                "decided there is lost, so the "
                                "proxy does not guess. Restore the file from a copy, or move it "
                                "away: it then starts from the "
                                "configuration and takes its epochs from markers and repositories",
                                path, scan.end, *good));
    scan.torn_bytes = last + 1 - scan.end;
    return scan;
}

}  // namespace regrow::recovery
