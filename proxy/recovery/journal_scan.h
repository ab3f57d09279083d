#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// The journal's bytes, without the file: pure, so that every cut and every flipped bit can be tried
// in memory.
namespace regrow::recovery {

inline constexpr std::string_view kJournalMagic = "RGJRNL01";

struct Scan {
    std::vector<std::string_view> payloads;  // into the scanned content
    uint64_t end = 0;                        // behind the last good record
    uint64_t torn_bytes = 0;                 // behind `end`, not zero
};

// One record's bytes.
std::string journalRecord(std::string_view payload);
// `path` is for messages. Code::corrupt for a wrong header, and for a bad record with a good one
// after it.
Result<Scan> scanJournal(std::string_view content, std::string_view path);

}  // namespace regrow::recovery
